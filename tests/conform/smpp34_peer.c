/* libsmpp34 in a process of its own, for smpp34_test.c: reads PDUs from stdin, each behind its
 * length (4 octets, big-endian), and answers each with lines: "refused", or one line per field as
 * the library read it ("name hex"), "tlv" with its tag and value, and "bytes", what the library
 * packs of it; then ".". The fields are printed by the library's own frames, so none can be
 * forgotten.
 *
 * The care that the library asks for: its trace of every field runs past smpp34_strerror, so that
 * array stands here, 32 times as long as the library believes; structs are zeroed; one thread;
 * its allocator is an arena that is reset for each PDU, since it leaks what it fails on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsmpp34/smpp34.h>
#define smpp34_strerror smpp34_strerror_of_2048
#include <libsmpp34/smpp34_structs.h>
#undef smpp34_strerror
#include <libsmpp34/smpp34_params.h>
#include <libsmpp34/smpp34_heap.h>

enum { PDU_MAX = 70000, ARENA = 1 << 20, STRUCT_MAX = 4096, PATIENCE = 24 };

extern char smpp34_strerror[65536];
char smpp34_strerror[65536];

static _Alignas(max_align_t) char arena[ARENA];
static size_t arena_n;

static void *arena_malloc(size_t n)
{
	void *p = arena + arena_n;

	n = (n + 15) & ~(size_t)15;
	if (n > ARENA - arena_n) {
		fprintf(stderr, "smpp34_peer: one PDU takes more than %d octets\n", ARENA);
		exit(2);
	}
	arena_n += n;
	return p;
}

static void *arena_realloc(void *p, size_t n)
{
	void *fresh = arena_malloc(n);

	if (p)
		memmove(fresh, p, n);
	return fresh;
}

static void arena_free(void *p) {}

/* ---- printing ---- */

/* A TLV's value is a union: "value.val16" is "value", too. */
static void put_name(const char *name)
{
	printf("%.*s ", (int)strcspn(name, "."), name);
}

static void put_octets(const char *name, const void *octets, size_t n)
{
	const uint8_t *o = octets;

	put_name(name);
	for (size_t i = 0; i < n; i++)
		printf("%02x", o[i]);
	printf("\n");
}

static void put_number(const char *name, uint32_t v, unsigned octets)
{
	put_name(name);
	printf("%0*x\n", (int)octets * 2, v);
}

/* The library links what it reads in front, so its lists are the wire's order backwards. This
 * turns them, for printing and for packing. */
#define TURN(type, head)                           \
	do {                                       \
		type *turned = NULL;               \
		while (head) {                     \
			type *next = (head)->next; \
			(head)->next = turned;     \
			turned = (head);           \
			(head) = next;             \
		}                                  \
		(head) = turned;                   \
	} while (0)

#define U32(inst, par, parse) put_number(#par, inst par, 4)
#define U16(inst, par, parse) put_number(#par, inst par, 2)
#define U08(inst, par, parse) put_number(#par, inst par, 1)
#define O_C_OCTET(inst, par, size) \
	put_octets(#par, inst par, strnlen((const char *)(inst par), size))
#define C_OCTET(inst, par, size)       O_C_OCTET(inst, par, size)
#define OCTET8(inst, par, size, count) put_octets(#par, inst par, count)
#define OCTET16(inst, par, size)       put_octets(#par, inst par, inst length);
#define TLV(inst, par, one)                         \
	TURN(tlv_t, inst par);                      \
	for (tlv_t *t = inst par; t; t = t->next) { \
		one(t)                              \
	}
#define DAD(inst, par, one)                         \
	TURN(dad_t, inst par);                      \
	for (dad_t *t = inst par; t; t = t->next) { \
		one(t)                              \
	}
#define UDAD(inst, par, one)                         \
	TURN(udad_t, inst par);                      \
	for (udad_t *t = inst par; t; t = t->next) { \
		one(t)                               \
	}
#define instancia m->

#include <libsmpp34/def_frame/alert_notification.tlv>
#include <libsmpp34/def_frame/bind_receiver_resp.tlv>
#include <libsmpp34/def_frame/bind_transceiver_resp.tlv>
#include <libsmpp34/def_frame/bind_transmitter_resp.tlv>
#include <libsmpp34/def_frame/data_sm.tlv>
#include <libsmpp34/def_frame/data_sm_resp.tlv>
#include <libsmpp34/def_frame/deliver_sm.tlv>
#include <libsmpp34/def_frame/submit_multi.dad>
#include <libsmpp34/def_frame/submit_multi.tlv>
#include <libsmpp34/def_frame/submit_multi_resp.udad>
#include <libsmpp34/def_frame/submit_sm.tlv>

static void print_alert_notification(alert_notification_t *m)
{
#include <libsmpp34/def_frame/alert_notification.frame>
}
static void print_bind_receiver(bind_receiver_t *m)
{
#include <libsmpp34/def_frame/bind_receiver.frame>
}
static void print_bind_receiver_resp(bind_receiver_resp_t *m)
{
#include <libsmpp34/def_frame/bind_receiver_resp.frame>
}
static void print_bind_transmitter(bind_transmitter_t *m)
{
#include <libsmpp34/def_frame/bind_transmitter.frame>
}
static void print_bind_transmitter_resp(bind_transmitter_resp_t *m)
{
#include <libsmpp34/def_frame/bind_transmitter_resp.frame>
}
static void print_bind_transceiver(bind_transceiver_t *m)
{
#include <libsmpp34/def_frame/bind_transceiver.frame>
}
static void print_bind_transceiver_resp(bind_transceiver_resp_t *m)
{
#include <libsmpp34/def_frame/bind_transceiver_resp.frame>
}
static void print_outbind(outbind_t *m)
{
#include <libsmpp34/def_frame/outbind.frame>
}
static void print_submit_sm(submit_sm_t *m)
{
#include <libsmpp34/def_frame/submit_sm.frame>
}
static void print_submit_sm_resp(submit_sm_resp_t *m)
{
#include <libsmpp34/def_frame/submit_sm_resp.frame>
}
static void print_submit_multi(submit_multi_t *m)
{
#include <libsmpp34/def_frame/submit_multi.frame>
}
static void print_submit_multi_resp(submit_multi_resp_t *m)
{
#include <libsmpp34/def_frame/submit_multi_resp.frame>
}
static void print_deliver_sm(deliver_sm_t *m)
{
#include <libsmpp34/def_frame/deliver_sm.frame>
}
static void print_deliver_sm_resp(deliver_sm_resp_t *m)
{
#include <libsmpp34/def_frame/deliver_sm_resp.frame>
}
static void print_data_sm(data_sm_t *m)
{
#include <libsmpp34/def_frame/data_sm.frame>
}
static void print_data_sm_resp(data_sm_resp_t *m)
{
#include <libsmpp34/def_frame/data_sm_resp.frame>
}
static void print_query_sm(query_sm_t *m)
{
#include <libsmpp34/def_frame/query_sm.frame>
}
static void print_query_sm_resp(query_sm_resp_t *m)
{
#include <libsmpp34/def_frame/query_sm_resp.frame>
}
static void print_cancel_sm(cancel_sm_t *m)
{
#include <libsmpp34/def_frame/cancel_sm.frame>
}
static void print_replace_sm(replace_sm_t *m)
{
#include <libsmpp34/def_frame/replace_sm.frame>
}

static void print_header(enquire_link_t *m)
{
#include <libsmpp34/def_frame/header.frame>
}

static void print_fields(uint32_t command, void *m)
{
	print_header(m);
	switch (command) {
#define PRINT(id, name)          \
	case id:                 \
		print_##name(m); \
		break;
		PRINT(ALERT_NOTIFICATION, alert_notification)
		PRINT(BIND_RECEIVER, bind_receiver)
		PRINT(BIND_RECEIVER_RESP, bind_receiver_resp)
		PRINT(BIND_TRANSMITTER, bind_transmitter)
		PRINT(BIND_TRANSMITTER_RESP, bind_transmitter_resp)
		PRINT(BIND_TRANSCEIVER, bind_transceiver)
		PRINT(BIND_TRANSCEIVER_RESP, bind_transceiver_resp)
		PRINT(OUTBIND, outbind)
		PRINT(SUBMIT_SM, submit_sm)
		PRINT(SUBMIT_SM_RESP, submit_sm_resp)
		PRINT(SUBMIT_MULTI, submit_multi)
		PRINT(SUBMIT_MULTI_RESP, submit_multi_resp)
		PRINT(DELIVER_SM, deliver_sm)
		PRINT(DELIVER_SM_RESP, deliver_sm_resp)
		PRINT(DATA_SM, data_sm)
		PRINT(DATA_SM_RESP, data_sm_resp)
		PRINT(QUERY_SM, query_sm)
		PRINT(QUERY_SM_RESP, query_sm_resp)
		PRINT(CANCEL_SM, cancel_sm)
		PRINT(REPLACE_SM, replace_sm)
	default: /* header only */
		break;
	}
}

/* ---- one PDU ---- */

static void answer(const uint8_t *pdu, size_t n)
{
	static _Alignas(max_align_t) uint8_t m[STRUCT_MAX], packed[PDU_MAX];
	uint32_t command;
	int len = 0;

	arena_n = 0;
	memset(m, 0, sizeof m);
	memset(packed, 0, sizeof packed);
	if (n < 16 || smpp34_unpack2(m, pdu, (int)n) != 0) {
		printf("refused\n.\n");
		return;
	}
	memcpy(&command, m + offsetof(enquire_link_t, command_id), sizeof command);
	print_fields(command, m);
	if (smpp34_pack2(packed, sizeof packed, &len, m) == 0)
		put_octets("bytes", packed, (size_t)len);
	else
		printf("not packed\n");
	printf(".\n");
}

int main(void)
{
	static const struct smpp34_memory_functions mf = { arena_malloc, arena_realloc,
		arena_free };
	static uint8_t pdu[PDU_MAX], head[4];

	smpp34_set_memory_functions(&mf);
	while (fread(head, 1, sizeof head, stdin) == sizeof head) {
		size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 |
			   head[3];
		uint8_t *exact;

		if (n > sizeof pdu || fread(pdu, 1, n, stdin) != n)
			return 2;
		/* It looks at the command_id of shorter ones, too. */
		exact = calloc(1, n + PATIENCE);
		if (!exact)
			return 2;
		memcpy(exact, pdu, n);
		answer(exact, n);
		fflush(stdout);
		free(exact);
	}
	return 0;
}
