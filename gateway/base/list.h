/* Intrusive doubly linked list with a head of the same kind. One thread at a time. */
#ifndef POSTERN_BASE_LIST_H
#define POSTERN_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline bool list_linked(const struct list *l)
{
	return l->next && l->next != l;
}
static inline void list_insert_before(struct list *at, struct list *n)
{
	n->prev = at->prev;
	n->next = at;
	at->prev->next = n;
	at->prev = n;
}
static inline void list_append(struct list *head, struct list *n)
{
	list_insert_before(head, n);
}
static inline void list_prepend(struct list *head, struct list *n)
{
	list_insert_before(head->next, n);
}
/* Harmless on an element that is in no list (zeroed or initialised). */
static inline void list_remove(struct list *n)
{
	if (!n->next)
		return;
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
#define list_first(head, type, member) \
	(list_empty(head) ? NULL : CONTAINER((head)->next, type, member))
#define list_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
#define list_each_safe(it, head)                                                  \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
		it = it##_next, it##_next = it->next)

#endif
