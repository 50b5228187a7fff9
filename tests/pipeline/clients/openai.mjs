// openai-node, unmodified, against a running Voxline: `node smoke.mjs http://HOST:PORT REFERENCE_AUDIO`.
// Ends with status 0 and one line of JSON, or with the first failure.

import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import OpenAI from 'openai';

const [url, recording] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: process.env.VOXLINE_API_KEY ?? 'unused', maxRetries: 0 });
const input = 'Hello there.';

// How a file of each format begins; pcm has no header.
const BEGINNINGS = {
  mp3: (bytes) => bytes[0] === 0xff && (bytes[1] & 0xe0) === 0xe0,
  opus: (bytes) => bytes.toString('latin1', 0, 4) === 'OggS',
  aac: (bytes) => bytes[0] === 0xff && (bytes[1] & 0xf6) === 0xf0,
  flac: (bytes) => bytes.toString('latin1', 0, 4) === 'fLaC',
  wav: (bytes) => bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WAVE',
  pcm: (bytes) => bytes.length % 2 === 0,
};

async function formats() {
  const sizes = {};
  for (const [response_format, begins] of Object.entries(BEGINNINGS)) {
    const reply = await client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input, response_format });
    const bytes = Buffer.from(await reply.arrayBuffer());
    assert.ok(bytes.length > 1000, `${response_format}: only ${bytes.length} bytes`);
    assert.ok(begins(bytes), `${response_format} begins with ${bytes.subarray(0, 12).toString('hex')}`);
    assert.match(reply.headers.get('content-type'), /^audio\//);
    sizes[response_format] = bytes.length;
  }
  return sizes;
}

async function streaming() {
  const reply = await client.audio.speech.create({ model: 'tts-1', voice: 'nova', input, response_format: 'pcm' });
  let pieces = 0;
  for await (const piece of reply.body) {
    assert.ok(piece.length > 0);
    pieces += 1;
  }
  assert.ok(pieces > 0);
  return pieces;
}

async function events() {
  const reply = await client.audio.speech.create({
    model: 'gpt-4o-mini-tts',
    voice: 'ash',
    input,
    response_format: 'mp3',
    stream_format: 'sse',
  });
  assert.match(reply.headers.get('content-type'), /^text\/event-stream/);
  const lines = (await reply.text()).split('\n').filter((line) => line.startsWith('data: '));
  const parsed = lines.map((line) => JSON.parse(line.slice('data: '.length)));
  const last = parsed.pop();
  assert.ok(parsed.length > 0 && parsed.every((event) => event.type === 'speech.audio.delta'));
  assert.ok(BEGINNINGS.mp3(Buffer.concat(parsed.map((event) => Buffer.from(event.audio, 'base64')))));
  assert.equal(last.type, 'speech.audio.done');
  assert.equal(last.usage.total_tokens, last.usage.input_tokens + last.usage.output_tokens);
  return last.usage;
}

async function models() {
  const page = await client.models.list();
  assert.ok(page.data.some((model) => model.id === 'tts-1'));
  return page.data.map((model) => model.id);
}

async function voices() {
  const name = `node smoke ${process.pid}`;
  const voice = await client.audio.voices.create({ name, audio_sample: createReadStream(recording), consent: 'cons_1' });
  assert.equal(voice.object, 'audio.voice');
  const reply = await client.audio.speech.create({ model: 'tts-1', voice: { id: voice.id }, input });
  assert.ok((await reply.arrayBuffer()).byteLength > 1000);
  const deleted = await client.audio.voices.delete(voice.id);
  assert.deepEqual([deleted.id, deleted.deleted, deleted.object], [voice.id, true, 'audio.voice.deleted']);
  return voice.id;
}

async function errors() {
  const wrong = { model: 'tts-1', voice: 'nobody', input };
  await assert.rejects(client.audio.speech.create(wrong), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.deepEqual([error.code, error.param], ['voice_not_found', 'voice']);
    assert.ok(error.requestID);
    return true;
  });
  const fast = { model: 'tts-1', voice: 'alloy', input, speed: 5 };
  await assert.rejects(client.audio.speech.create(fast), OpenAI.BadRequestError);
}

const seen = { models: await models(), formats: await formats(), pieces: await streaming(), usage: await events() };
await errors();
console.log(JSON.stringify({ ...seen, voice: await voices() }));
