// Vercel's AI SDK, unmodified, against a running Voxline: `node ai_sdk.mjs http://HOST:PORT`.
// Ends with status 0 and one line of JSON, or with the first failure.

import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, experimental_generateSpeech as generateSpeech } from 'ai';

const openai = createOpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'unused' });
const text = 'Hello there.';

async function spoken(outputFormat) {
  const { audio, warnings } = await generateSpeech({
    model: openai.speech('tts-1'),
    text,
    voice: 'alloy',
    outputFormat,
    speed: 1.1,
    instructions: 'Speak slowly.',
  });
  assert.deepEqual(warnings, []);
  assert.ok(audio.uint8Array.length > 1000);
  return audio.mediaType;
}

const types = {};
for (const format of ['mp3', 'wav', 'flac', 'aac', 'opus']) {
  types[format] = await spoken(format);
}

await assert.rejects(generateSpeech({ model: openai.speech('tts-1'), text, voice: 'nobody', maxRetries: 2 }), (error) => {
  assert.ok(APICallError.isInstance(error), String(error));
  assert.equal(error.statusCode, 404);
  assert.match(error.message, /no voice 'nobody'/);
  return true;
});
console.log(JSON.stringify(types));
