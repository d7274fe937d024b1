/* Feeds the libsmpp34 of this machine a submit_sm of 151 octets with 29 empty TLVs: all lengths in
 * it are right, and no bind is needed before it. The library traces each field that it reads into
 * smpp34_strerror, 2,048 bytes, and goes on past its end. The array stands here instead of in the
 * library (the linker lets a program's own definition win), so that AddressSanitizer guards it.
 */
#include <stdint.h> /* the library's headers need it and do not say so */
#include <smpp34.h>
#include <smpp34_structs.h>
#include <stdio.h>
#include <string.h>

enum { TLVS = 29 };
char smpp34_strerror[2048];

int main(void)
{
	/* service_type, source 1/1/"1", destination 1/1/"2", eleven more fields, all zero */
	static const uint8_t body[] = { 0, 1, 1, '1', 0, 1, 1, '2', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0 };
	uint8_t pdu[16 + sizeof body + 4 * TLVS] = { [7] = 4, [15] = 1 };
	submit_sm_t out;

	memcpy(pdu + 16, body, sizeof body);
	for (size_t i = 0; i < TLVS; i++) {
		uint8_t *tlv = pdu + 16 + sizeof body + 4 * i;

		tlv[0] = 0x14; /* vendor range; the value is empty */
		tlv[1] = (uint8_t)i;
	}
	pdu[3] = sizeof pdu;
	memset(&out, 0, sizeof out);
	printf("smpp34_unpack2() of a submit_sm of %zu octets\n", sizeof pdu);
	fflush(stdout);
	printf("it answered %d\n", smpp34_unpack2(&out, pdu, sizeof pdu));
	return 0;
}
