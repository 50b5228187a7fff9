"""The OpenAI surface: the audio part of their API, with our extras as additional fields.

Bodies follow openai-python 3.52 (`types/audio`); what other clients of this API expect beyond it is said at each route.
"""

from services.gateway.rest.openai import consents, models, speech, voices

ROUTERS = (speech.router, models.router, voices.router, consents.router)
