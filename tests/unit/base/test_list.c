/* The intrusive list.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/list.h"

struct item {
	int id;
	struct list_node node;
};

static void assert_ids(const struct list *l, const int *ids, size_t n)
{
	size_t i = 0;
	assert_int_equal(l->len, n);
	list_each (it, l) {
		assert_true(i < n);
		assert_int_equal(list_entry(it, struct item, node)->id, ids[i++]);
	}
	assert_int_equal(i, n);
}

static void test_push_and_pop(void **state)
{
	(void)state;
	struct list l;
	struct item a = {.id = 1}, b = {.id = 2}, c = {.id = 3};
	list_init(&l);
	assert_true(list_empty(&l));
	assert_null(list_first(&l));
	assert_null(list_pop_front(&l));
	list_push_back(&l, &a.node);
	list_push_back(&l, &c.node);
	list_insert_after(&l, &a.node, &b.node);
	assert_ids(&l, (const int[]){1, 2, 3}, 3);
	assert_true(list_linked(&b.node));
	list_remove(&l, &b.node);
	assert_false(list_linked(&b.node));
	list_remove(&l, &b.node);
	assert_ids(&l, (const int[]){1, 3}, 2);
	list_push_front(&l, &b.node);
	assert_ids(&l, (const int[]){2, 1, 3}, 3);
	assert_ptr_equal(list_pop_front(&l), &b.node);
	assert_ids(&l, (const int[]){1, 3}, 2);
}

static void test_remove_while_walking(void **state)
{
	(void)state;
	struct list l;
	struct item items[10] = {{.id = 0}};
	list_init(&l);
	for (int i = 0; i < 10; i++) {
		items[i].id = i;
		list_push_back(&l, &items[i].node);
	}
	list_each_safe (it, &l)
		if (list_entry(it, struct item, node)->id % 2 == 0)
			list_remove(&l, it);
	assert_ids(&l, (const int[]){1, 3, 5, 7, 9}, 5);
	list_each_safe (it, &l)
		list_remove(&l, it);
	assert_true(list_empty(&l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_push_and_pop),
	    cmocka_unit_test(test_remove_while_walking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
