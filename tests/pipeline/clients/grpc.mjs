// grpc-js with its own reader of protos, against a running Voxline: `node grpc.mjs HOST:PORT PROTOS`.
// Ends with status 0 and one line of JSON, or with the first failure.

import assert from 'node:assert/strict';
import { credentials, loadPackageDefinition, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const [address, protos] = process.argv.slice(2);
const options = { keepCase: true, longs: String, enums: String, oneofs: true, includeDirs: [protos] };
const { voxline } = loadPackageDefinition(loadSync('voxline/v1/text_to_speech.proto', options));
const client = new voxline.v1.TextToSpeechService(address, credentials.createInsecure());

async function events(call) {
  const seen = [];
  for await (const event of call) {
    seen.push(event);
  }
  const pieces = seen.filter((event) => event.event === 'audio');
  assert.equal(seen[0].event, 'audio_config');
  assert.equal(seen.at(-1).event, 'usage');
  assert.equal(pieces.length, seen.length - 2);
  return { config: seen[0].audio_config, audio: Buffer.concat(pieces.map((event) => event.audio)), usage: seen.at(-1).usage };
}

function voices() {
  return new Promise((resolve, reject) => {
    client.ListVoices({ page_size: 1000 }, (error, reply) => (error ? reject(error) : resolve(reply.voices)));
  });
}

const whole = await events(client.Synthesize({ text: 'Hello there.', sampling: { seed: 7 } }));
assert.equal(whole.config.encoding, 'AUDIO_ENCODING_PCM');
assert.ok(whole.audio.length > 1000 && whole.audio.length % 2 === 0);
assert.equal(whole.usage.finish_reason, 'FINISH_REASON_STOP');
assert.equal(whole.usage.seed, '7');

const stream = client.StreamingSynthesize();
stream.write({ config: { sampling: { seed: 7 } } });
stream.write({ text: 'Hello ' });
stream.write({ text: 'there.' });
stream.end();
const streamed = await events(stream);
assert.ok(streamed.audio.equals(whole.audio));

await assert.rejects(events(client.Synthesize({ text: 'Hi.', voice: { name: 'nobody' } })), (error) => {
  assert.equal(error.code, status.NOT_FOUND);
  assert.match(error.details, /no voice 'nobody'/);
  return true;
});

const names = (await voices()).map((voice) => voice.name);
assert.ok(names.includes('voices/alloy'));
console.log(JSON.stringify({ bytes: whole.audio.length, voices: names.length }));
client.close();
