/* toml.cpp - toml++ behind toml.h. No exception and no C++ type leaves this file.
 * SPDX-License-Identifier: MIT */
#define TOML_EXCEPTIONS	       0
#define TOML_HEADER_ONLY       1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "lib/toml/toml.h"

namespace
{

/* Turns toml++'s line and column (code points, from 1) into offsets. */
class Places
{
      public:
	explicit Places(std::string_view text) : text_(text)
	{
		size_t bom = text.substr(0, 3) == "\xef\xbb\xbf" ? 3 : 0;
		starts_.push_back(bom);
		for (size_t i = bom; i < text.size(); i++)
			if (text[i] == '\n')
				starts_.push_back(i + 1);
	}

	size_t offset(const toml::source_position &p) const
	{
		if (p.line == 0 || p.line > starts_.size())
			return text_.size();
		size_t at = starts_[p.line - 1];
		for (unsigned column = 1; column < p.column && at < text_.size(); column++)
			at = next(at);
		return at;
	}

      private:
	size_t next(size_t at) const
	{
		do
			at++;
		while (at < text_.size() && (static_cast<unsigned char>(text_[at]) & 0xc0) == 0x80);
		return at;
	}

	std::string_view text_;
	std::vector<size_t> starts_;
};

char *copy(std::string_view s)
{
	char *p = static_cast<char *>(std::malloc(s.size() + 1));
	if (!p)
		throw std::bad_alloc();
	std::memcpy(p, s.data(), s.size());
	p[s.size()] = '\0';
	return p;
}

class Flattener
{
      public:
	explicit Flattener(std::string_view text) : places_(text)
	{
	}
	~Flattener()
	{
		for (toml_item &it : items_) {
			std::free(it.key);
			std::free(it.string);
		}
	}

	void table(const toml::table &t, const std::string &prefix, bool root)
	{
		for (auto &&[key, node] : t) {
			std::string path = root ? "" : prefix + ".";
			path += key.str();
			size_t at = items_.size();
			value(node, path);
			if (root) {
				items_[at].top = true;
				items_[at].key_at = places_.offset(key.source().begin);
			}
		}
	}

	void hand_out(toml_doc *out)
	{
		size_t n = items_.size();
		out->items = static_cast<toml_item *>(std::calloc(n ? n : 1, sizeof *out->items));
		if (!out->items)
			throw std::bad_alloc();
		std::copy(items_.begin(), items_.end(), out->items);
		out->n = n;
		items_.clear();
	}

      private:
	void value(const toml::node &node, const std::string &path)
	{
		size_t at = items_.size();
		items_.push_back(toml_item{});
		items_[at].key = copy(path);
		items_[at].line = node.source().begin.line;
		items_[at].value_at = places_.offset(node.source().begin);
		items_[at].value_end = places_.offset(node.source().end);
		if (const toml::table *t = node.as_table()) {
			items_[at].type = TOML_TABLE;
			items_[at].has_tables = true;
			table(*t, path, false);
		} else if (const toml::array *a = node.as_array()) {
			array(*a, path, at);
		} else {
			scalar(node, items_[at]);
		}
	}

	void array(const toml::array &a, const std::string &path, size_t at)
	{
		items_[at].type = TOML_ARRAY;
		size_t i = 0;
		for (const toml::node &node : a) {
			size_t child = items_.size();
			value(node, path + "[" + std::to_string(i++) + "]");
			if (items_[child].has_tables)
				items_[at].has_tables = true;
		}
	}

	template <typename T> static char *print(const T &v)
	{
		std::ostringstream s;
		s << v;
		return copy(s.str());
	}

	static void scalar(const toml::node &node, toml_item &it)
	{
		if (auto *s = node.as_string()) {
			it.type = TOML_STRING;
			it.string =
			    s->get().find('\0') == std::string::npos ? copy(s->get()) : nullptr;
		} else if (auto *b = node.as_boolean()) {
			it.type = TOML_BOOL;
			it.boolean = b->get();
		} else if (auto *i = node.as_integer()) {
			it.type = TOML_INT;
			it.integer = i->get();
			it.number = static_cast<double>(i->get());
		} else if (auto *f = node.as_floating_point()) {
			it.type = TOML_FLOAT;
			it.number = f->get();
		} else {
			it.type = TOML_TIME;
			if (auto *d = node.as_date())
				it.string = print(d->get());
			else if (auto *t = node.as_time())
				it.string = print(t->get());
			else if (auto *dt = node.as_date_time())
				it.string = print(dt->get());
		}
	}

	Places places_;
	std::vector<toml_item> items_;
};

} // namespace

extern "C" int toml_parse(const char *text, size_t len, struct toml_doc *out, unsigned *line,
			  unsigned *column)
{
	*out = toml_doc{};
	*line = *column = 0;
	try {
		std::string_view view(text, len);
		toml::parse_result result = toml::parse(view);
		if (!result) {
			*line = result.error().source().begin.line;
			*column = result.error().source().begin.column;
			return -EINVAL;
		}
		Flattener f(view);
		f.table(result.table(), "", true);
		f.hand_out(out);
		return 0;
	} catch (...) {
		return -ENOMEM;
	}
}

extern "C" void toml_fini(struct toml_doc *d)
{
	for (size_t i = 0; i < d->n; i++) {
		std::free(d->items[i].key);
		std::free(d->items[i].string);
	}
	std::free(d->items);
	*d = toml_doc{};
}

extern "C" const struct toml_item *toml_find(const struct toml_doc *d, const char *key)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->items[i].top && std::strcmp(d->items[i].key, key) == 0)
			return &d->items[i];
	return nullptr;
}
