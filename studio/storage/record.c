/* record.c - rows: copies, their ends, and what a job_move does to one.
 * Both storages apply moves with the same function, so they cannot differ in what a move means.
 * SPDX-License-Identifier: MIT */
#include "studio/storage/record.h"

#include <string.h>

#include "lib/base/mem.h"

static const char *const state_names[] = {"queued", "offered", "claimed", "done", "failed"};

const char *job_state_name(enum job_state s)
{
	return (size_t)s < ARRAY_LEN(state_names) ? state_names[s] : "unknown";
}

bool job_state_parse(const char *s, enum job_state *out)
{
	for (size_t i = 0; i < ARRAY_LEN(state_names); i++) {
		if (strcmp(s, state_names[i]) == 0) {
			*out = (enum job_state)i;
			return true;
		}
	}
	return false;
}

static json_t *share(const json_t *j)
{
	return json_incref((json_t *)(uintptr_t)j);
}

void job_record_copy(struct job_record *to, const struct job_record *from)
{
	*to = *from;
	to->id = xstrdup_opt(from->id);
	to->game_id = xstrdup_opt(from->game_id);
	to->asset_name = xstrdup_opt(from->asset_name);
	to->model = xstrdup_opt(from->model);
	to->kind = xstrdup_opt(from->kind);
	to->task = share(from->task);
	to->source = share(from->source);
	to->worker_id = xstrdup_opt(from->worker_id);
	to->last_worker = xstrdup_opt(from->last_worker);
	to->error = xstrdup_opt(from->error);
	to->result = share(from->result);
	to->blob = xstrdup_opt(from->blob);
	to->ext = xstrdup_opt(from->ext);
	to->sha256 = xstrdup_opt(from->sha256);
	to->prompt = xstrdup_opt(from->prompt);
}

void job_record_fini(struct job_record *j)
{
	free(j->id);
	free(j->game_id);
	free(j->asset_name);
	free(j->model);
	free(j->kind);
	json_decref(j->task);
	json_decref(j->source);
	free(j->worker_id);
	free(j->last_worker);
	free(j->error);
	json_decref(j->result);
	free(j->blob);
	free(j->ext);
	free(j->sha256);
	free(j->prompt);
	memset(j, 0, sizeof(*j));
}

void request_record_copy(struct request_record *to, const struct request_record *from)
{
	*to = *from;
	to->id = xstrdup_opt(from->id);
	to->install_id = xstrdup_opt(from->install_id);
	to->secret_hash = xstrdup_opt(from->secret_hash);
	to->user_agent = xstrdup_opt(from->user_agent);
	to->peer = xstrdup_opt(from->peer);
	to->capabilities = share(from->capabilities);
	to->status = xstrdup_opt(from->status);
	to->reason = xstrdup_opt(from->reason);
	to->worker_id = xstrdup_opt(from->worker_id);
}

void request_record_fini(struct request_record *r)
{
	free(r->id);
	free(r->install_id);
	free(r->secret_hash);
	free(r->user_agent);
	free(r->peer);
	json_decref(r->capabilities);
	free(r->status);
	free(r->reason);
	free(r->worker_id);
	memset(r, 0, sizeof(*r));
}

void worker_record_copy(struct worker_record *to, const struct worker_record *from)
{
	*to = *from;
	to->id = xstrdup_opt(from->id);
	to->install_id = xstrdup_opt(from->install_id);
	to->token_hash = xstrdup_opt(from->token_hash);
	to->capabilities = share(from->capabilities);
}

void worker_record_fini(struct worker_record *w)
{
	free(w->id);
	free(w->install_id);
	free(w->token_hash);
	json_decref(w->capabilities);
	memset(w, 0, sizeof(*w));
}

void model_record_copy(struct model_record *to, const struct model_record *from)
{
	*to = *from;
	to->id = xstrdup_opt(from->id);
	to->kind = xstrdup_opt(from->kind);
	to->source = share(from->source);
	to->defaults = share(from->defaults);
}

void model_record_fini(struct model_record *m)
{
	free(m->id);
	free(m->kind);
	json_decref(m->source);
	json_decref(m->defaults);
	memset(m, 0, sizeof(*m));
}

void log_record_copy(struct log_record *to, const struct log_record *from)
{
	*to = *from;
	to->worker_id = xstrdup_opt(from->worker_id);
	to->ts = xstrdup_opt(from->ts);
	to->level = xstrdup_opt(from->level);
	to->category = xstrdup_opt(from->category);
	to->message = xstrdup_opt(from->message);
	to->job_id = xstrdup_opt(from->job_id);
}

void log_record_fini(struct log_record *l)
{
	free(l->worker_id);
	free(l->ts);
	free(l->level);
	free(l->category);
	free(l->message);
	free(l->job_id);
	memset(l, 0, sizeof(*l));
}

void job_move_copy(struct job_move *to, const struct job_move *from)
{
	*to = *from;
	to->id = xstrdup_opt(from->id);
	to->if_worker = xstrdup_opt(from->if_worker);
	to->if_last_worker = xstrdup_opt(from->if_last_worker);
	to->worker_id = xstrdup_opt(from->worker_id);
	to->error = xstrdup_opt(from->error);
	to->result = json_deep_copy(from->result);
	to->blob = xstrdup_opt(from->blob);
	to->ext = xstrdup_opt(from->ext);
	to->sha256 = xstrdup_opt(from->sha256);
	to->prompt = xstrdup_opt(from->prompt);
}

static void free_text(const char *s)
{
	free((char *)(uintptr_t)s);
}

void job_move_fini(struct job_move *m)
{
	free_text(m->id);
	free_text(m->if_worker);
	free_text(m->if_last_worker);
	free_text(m->worker_id);
	free_text(m->error);
	json_decref((json_t *)(uintptr_t)m->result);
	free_text(m->blob);
	free_text(m->ext);
	free_text(m->sha256);
	free_text(m->prompt);
	memset(m, 0, sizeof(*m));
}

static bool same(const char *want, const char *is)
{
	return !want || (is && strcmp(want, is) == 0);
}

bool job_move_allowed(const struct job_move *m, const struct job_record *j)
{
	if (!(m->from & JOB_BIT(j->state)))
		return false;
	return same(m->if_worker, j->worker_id) && same(m->if_last_worker, j->last_worker);
}

static void set_result(struct job_record *j, const struct job_move *m)
{
	json_decref(j->result);
	j->result = share(m->result);
	str_replace(&j->blob, m->blob);
	str_replace(&j->ext, m->ext);
	str_replace(&j->sha256, m->sha256);
	str_replace(&j->prompt, m->prompt);
	j->bytes = m->bytes;
}

static void set_times(struct job_record *j, const struct job_move *m)
{
	if (m->claimed_ms)
		j->claimed_ms = m->claimed_ms < 0 ? 0 : m->claimed_ms;
	if (m->finished_ms < 0)
		j->finished_ms = 0;
	else if (m->finished_ms && (j->state == JOB_DONE || j->state == JOB_FAILED))
		j->finished_ms = m->finished_ms;
}

void job_move_apply(const struct job_move *m, struct job_record *j)
{
	j->state = m->to;
	j->attempts = (m->reset_attempts ? 0 : j->attempts) + m->add_attempts;
	if (m->give_up_at > 0 && j->attempts >= m->give_up_at)
		j->state = JOB_FAILED;
	if (m->set_worker) {
		if (!m->worker_id && j->worker_id)
			str_replace(&j->last_worker, j->worker_id);
		str_replace(&j->worker_id, m->worker_id);
		j->resumable = m->resumable;
	}
	if (m->set_error)
		str_replace(&j->error, m->error);
	if (m->set_result)
		set_result(j, m);
	set_times(j, m);
}
