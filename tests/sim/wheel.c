/* The timing wheel. What is due after a whole turn stays in its slot and is passed by. */
#include "tests/sim/wheel.h"

void sim_wheel_init(struct sim_wheel *w, uint64_t now_ns)
{
	memset(w->slot, 0xff, sizeof(w->slot));
	w->now = now_ns / SIM_MS;
}

void sim_wheel_add(struct sim_wheel *w, uint32_t index, uint64_t due_ns)
{
	if (index >= w->cap) {
		uint32_t cap = w->cap ? w->cap * 2 : 4096;
		while (cap <= index)
			cap *= 2;
		w->link = mem_grow(w->link, (size_t)cap * sizeof(*w->link));
		w->cap = cap;
	}
	uint64_t due = (due_ns + SIM_MS - 1) / SIM_MS;
	if (due <= w->now)
		due = w->now + 1;
	uint32_t *head = &w->slot[due % SIM_WHEEL_SLOTS];
	w->link[index] = (struct sim_wheel_link){ *head, due };
	*head = index;
	w->n++;
}

void sim_wheel_turn(
	struct sim_wheel *w, uint64_t now_ns, void (*take)(void *of, uint32_t index), void *of)
{
	uint64_t to = now_ns / SIM_MS;
	if (w->n == 0)
		w->now = to;
	while (w->now < to) {
		w->now++;
		uint32_t *head = &w->slot[w->now % SIM_WHEEL_SLOTS], i = *head,
			 late = SIM_WHEEL_NONE;
		*head = SIM_WHEEL_NONE;
		/* Latest added is first: turn the list round, so that what came first goes first.
		 */
		uint32_t order = SIM_WHEEL_NONE;
		while (i != SIM_WHEEL_NONE) {
			uint32_t next = w->link[i].next;
			uint32_t *list = w->link[i].due <= w->now ? &order : &late;
			w->link[i].next = *list;
			*list = i;
			i = next;
		}
		while (late != SIM_WHEEL_NONE) {
			uint32_t next = w->link[late].next;
			w->link[late].next = *head;
			*head = late;
			late = next;
		}
		while (order != SIM_WHEEL_NONE) {
			uint32_t next = w->link[order].next;
			w->n--;
			take(of, order);
			order = next;
		}
	}
}
