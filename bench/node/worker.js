// The smallest honest worker of studio-worker-v1 in Node: hello, heartbeat, accept, a synthetic LLM answer, multipart upload
// for bytes. No log shipping, no outbox, no reconnect. Only for bench/run to compare with.
// Usage: BASE=http://127.0.0.1:8787/graphics/api WORKER_ID=… TOKEN=… [KEEP=FILE] node worker.js
// KEEP: each result is written to FILE and synced before it is sent, as a worker that must not lose one does.
// SPDX-License-Identifier: MIT
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import os from 'node:os';
import WebSocket from 'ws';

const { BASE, WORKER_ID, TOKEN } = process.env;
const authorization = `Bearer ${TOKEN}`;
const perKind = {
  llm: ['synthetic', 'synthetic-llm'],
  image: ['synthetic', 'synthetic-image'],
};
const capabilities = () => ({
  machineName: os.hostname(), username: os.userInfo().username, agentVersion: '0', engine: 'multi',
  vramTotalGb: 0, vramThresholdGb: 12, autoEnabled: true, autoStart: false, autoUpdate: false,
  startMinimised: false, onlyWhenIdle: false, taskKinds: Object.keys(perKind),
  supportedModels: [...new Set(Object.values(perKind).flat())].sort(), supportedModelsPerKind: perKind,
});

const words = ['amber', 'brook', 'cedar', 'drift', 'ember', 'fjord', 'grove', 'haze'];
const answer = (prompt) => {
  const hash = createHash('sha256').update(prompt).digest();
  return Array.from(hash.subarray(0, 16), (b) => words[b % words.length]).join(' ');
};

const ws = new WebSocket(`${BASE.replace(/^http/, 'ws')}/workers/${WORKER_ID}/connect`, 'studio-worker-v1', {
  headers: { authorization }, perMessageDeflate: false,
});
const send = (frame) => ws.send(JSON.stringify(frame));
const kept = process.env.KEEP ? await open(process.env.KEEP, 'w') : undefined;
let current;

const run = async ({ jobId, model, task }) => {
  if (task.kind === 'llm') {
    const prompt = task.messages.at(-1).content;
    const content = answer(prompt);
    const frame = {
      type: 'completeJson', jobId, prompt,
      result: {
        id: `chatcmpl-${jobId}`, object: 'chat.completion', created: Math.floor(Date.now() / 1000), model,
        choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
        usage: { prompt_tokens: prompt.split(' ').length, completion_tokens: 16, total_tokens: prompt.split(' ').length + 16 },
      },
    };
    if (kept) {
      await kept.write(JSON.stringify(frame), 0);
      await kept.datasync();
    }
    send(frame);
    return;
  }
  const form = new FormData();
  form.set('prompt', task.prompt);
  form.set('ext', 'bin');
  form.set('image', new Blob([createHash('sha256').update(task.prompt).digest()]), `${jobId}.bin`);
  const reply = await fetch(`${BASE}/workers/${WORKER_ID}/jobs/${jobId}/complete`, {
    method: 'POST', headers: { authorization }, body: form,
  });
  if (!reply.ok && reply.status !== 409) send({ type: 'fail', jobId, error: `upload: ${reply.status}`, retryable: true });
};

ws.on('open', () => send({ type: 'hello', authToken: TOKEN, capabilities: capabilities() }));
ws.on('message', async (data, binary) => {
  if (binary) return ws.close(4002);
  const frame = JSON.parse(data.toString());
  if (frame.type === 'welcome') {
    const beat = () => send({ type: 'heartbeat', capabilities: capabilities(), currentJobId: current });
    beat();
    setInterval(beat, 5000);
  } else if (frame.type === 'offer') {
    const { claim } = frame;
    if (current) return send({ type: 'reject', jobId: claim.jobId, reason: 'worker already has an in-flight job', code: 'busy' });
    current = claim.jobId;
    send({ type: 'accept', jobId: claim.jobId });
    try {
      await run(claim);
    } catch (error) {
      send({ type: 'fail', jobId: claim.jobId, error: String(error), retryable: true });
    }
    current = undefined;
  }
});
ws.on('close', (code) => { process.exitCode = code === 1000 ? 0 : 1; process.exit(); });
ws.on('error', (error) => { console.error(error.message); process.exit(1); });
process.on('SIGTERM', () => ws.close(1000));
