/* list.h - intrusive doubly linked list.
 * A node lives in its owner; the list owns nothing. A zeroed node is not in a list.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/mem.h"

struct list_node {
	struct list_node *next, *prev;
};
struct list {
	struct list_node head;
	size_t len;
};

static inline void list_init(struct list *l)
{
	l->head.next = l->head.prev = &l->head;
	l->len = 0;
}

static inline bool list_empty(const struct list *l)
{
	return l->len == 0;
}

static inline bool list_linked(const struct list_node *n)
{
	return n->next != NULL;
}

static inline void list_insert_after(struct list *l, struct list_node *at, struct list_node *n)
{
	n->prev = at;
	n->next = at->next;
	at->next->prev = n;
	at->next = n;
	l->len++;
}

static inline void list_push_back(struct list *l, struct list_node *n)
{
	list_insert_after(l, l->head.prev, n);
}

static inline void list_push_front(struct list *l, struct list_node *n)
{
	list_insert_after(l, &l->head, n);
}

/* Removing a node that is in no list does nothing. */
static inline void list_remove(struct list *l, struct list_node *n)
{
	if (!list_linked(n))
		return;
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = NULL;
	l->len--;
}

static inline struct list_node *list_first(const struct list *l)
{
	/* The analyzer takes a node that was removed and freed for the head. */
	return l->len ? l->head.next : NULL; /* NOLINT(clang-analyzer-unix.Malloc) */
}

static inline struct list_node *list_pop_front(struct list *l)
{
	struct list_node *n = list_first(l);
	if (n)
		list_remove(l, n);
	return n;
}

/* `it` is a struct list_node *; in the _safe form the current node may be removed. */
#define list_each(it, l)                                                                           \
	for (struct list_node *it = (l)->head.next; it != &(l)->head; it = it->next)
#define list_each_safe(it, l)                                                                      \
	for (struct list_node *it = (l)->head.next, *it##_next = it->next; it != &(l)->head;       \
	     it = it##_next, it##_next = it->next)
#define list_entry(n, type, member) container_of(n, type, member)

#endif
