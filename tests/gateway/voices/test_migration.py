"""Databases of the code before there were migrations.

before_migrations.db was made by the last code without them: `voxline serve` with the bundled voice spoke two sentences
(voices `female` and `onyx`), and both were posted to /v1/audio/voices, as `anne` with her words and as `bo` without.
"""

import asyncio
import shutil
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import MetaData, Table, delete, insert, inspect, select, text, update
from sqlalchemy.ext.asyncio import create_async_engine

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.model import Revision
from services.contract.tokenization import TokenizedRecording
from services.gateway.voices.database import with_driver
from services.gateway.voices.migration import lock, migrate
from services.gateway.voices.store import VoiceStore
from services.gateway.voices.tables import Base
from voxline.stages.v1 import spark_pb2

GOLDEN = Path(__file__).parent / "before_migrations.db"
TABLES = ("voices", "designed_speakers", "reference_tokens")
MODEL = "voxline-small"


def tokens(array: bytes) -> list[int]:
    return np.frombuffer(array, "<u4").tolist()


def rows(table: str) -> list[dict]:
    """Of the golden file, read without any code of ours."""
    with closing(sqlite3.connect(f"file:{GOLDEN}?mode=ro", uri=True)) as golden:
        golden.row_factory = sqlite3.Row
        read = [dict(row) for row in golden.execute(f"SELECT * FROM {table}")]
    return [
        {**row, "created_at": datetime.fromisoformat(row["created_at"])} if "created_at" in row else row for row in read
    ]


@pytest.fixture
async def engine(url):
    """Of a database as the code before migrations left it, without rows."""
    engine = create_async_engine(with_driver(url))
    if engine.dialect.name == "sqlite":
        Path(engine.url.database).parent.mkdir(parents=True)
    await migrate(engine, "0001")
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE alembic_version"))
    yield engine
    await engine.dispose()


async def fill(engine, table: str, rows: list[dict]) -> None:
    async with engine.begin() as connection:
        into = await connection.run_sync(lambda sync: Table(table, MetaData(), autoload_with=sync))
        await connection.execute(insert(into), rows)


@pytest.fixture
async def old(engine, url):
    """Of a database with the rows of the golden file; the file itself on SQLite."""
    if engine.dialect.name == "sqlite":
        shutil.copyfile(GOLDEN, engine.url.database)
    else:
        for table in TABLES:
            await fill(engine, table, rows(table))
    return engine


def check_tokens(made: TokenizedRecording, row: dict) -> None:
    speaker = spark_pb2.SparkSpeaker.FromString(made.speaker.state)
    assert list(speaker.global_tokens) == list(made.speaker.global_tokens) == tokens(row["global_tokens"])
    assert not speaker.style_tokens
    assert (made.frames.first, made.frames.values.shape[1]) == (0, 1)
    assert made.frames.codes == tokens(row["codes"])
    assert made.seconds == row["seconds"]


async def test_voices_from_before_are_found(old, open_store):
    store = await open_store()
    assert [voice.id for voice in await store.page("", 10)] == ["anne", "bo"]
    for row in rows("voices"):
        found = await store.find(row["id"])
        check_tokens(found.tokens, row)
        assert (found.display_name, found.transcript) == (row["display_name"], row["transcript"])
        assert (found.model_id, found.codec_revision, found.audio_sha256) == (MODEL, "", row["audio_sha256"])
        assert found.created_at.replace(tzinfo=None) == row["created_at"]
        assert await store.recording(row["id"]) is None


async def test_voices_from_before_there_were_keys_are_nobodys(old, open_store):
    await migrate(old, "0002")
    store = await open_store()
    assert [(voice.id, voice.owner) for voice in await store.page("", 10)] == [("anne", ""), ("bo", "")]
    for row in rows("voices"):
        found = await store.find(row["id"])
        check_tokens(found.tokens, row)
        assert found.created_at.replace(tzinfo=None) == row["created_at"]


async def test_designed_speakers_from_before_are_found(old, open_store):
    store = await open_store()
    for row in rows("designed_speakers"):
        design = DesignedVoice(Gender(row["gender"]), Level(row["pitch"]), Level(row["speed"]))
        found = await store.designed_speaker(MODEL, Revision(), design)
        speaker = spark_pb2.SparkSpeaker.FromString(found.state)
        assert list(speaker.global_tokens) == list(found.global_tokens) == tokens(row["global_tokens"])
        assert list(speaker.style_tokens) == tokens(row["style_tokens"])


async def test_references_from_before_are_found_as_soon_as_their_codec_is_known(old, open_store):
    store = await open_store()
    await store.adopt(MODEL, Revision("codec", "llm"))
    for row in rows("reference_tokens"):
        check_tokens(await store.reference("codec", row["audio_sha256"]), row)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_first_revision_is_what_the_code_before_made(engine):
    for table in TABLES:
        with closing(sqlite3.connect(GOLDEN)) as golden, closing(sqlite3.connect(engine.url.database)) as made:
            question = f"PRAGMA table_info({table})"
            assert made.execute(question).fetchall() == golden.execute(question).fetchall()


async def test_migrations_end_at_the_tables_of_the_code(engine, open_store):
    await open_store()

    def differences(connection) -> list:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)

    def keys(connection) -> dict[str, list[str]]:
        return {
            table: inspect(connection).get_pk_constraint(table)["constrained_columns"] for table in Base.metadata.tables
        }

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        assert await connection.run_sync(keys) == {
            name: [column.name for column in table.primary_key] for name, table in Base.metadata.tables.items()
        }


async def test_tables_of_many_rows_are_converted_whole_and_each_row_once(engine, open_store):
    voice, reference = rows("voices")[0], rows("reference_tokens")[0]
    number = [f"{place:04}" for place in range(450)]
    codes = [np.array([place, 7], "<u4").tobytes() for place in range(450)]
    await fill(engine, "voices", [{**voice, "id": number[n], "codes": codes[n]} for n in range(450)])
    heard = [{**reference, "model_id": f"m{n % 3}", "audio_sha256": number[n], "codes": codes[n]} for n in range(450)]
    await fill(engine, "reference_tokens", heard)
    store = await open_store()
    assert [listed.id for listed in await store.page("", 1000)] == number
    for model in range(3):
        await store.adopt(f"m{model}", Revision("codec", "llm"))
    for n in range(450):
        assert (await store.find(number[n])).tokens.frames.codes == [n, 7]
        assert (await store.reference("codec", number[n])).frames.codes == [n, 7]


async def test_of_models_that_heard_one_recording_one_keeps_what_it_made(engine, open_store):
    reference = rows("reference_tokens")[0]
    heard = [{**reference, "model_id": f"m{n}", "audio_sha256": sha} for n in range(3) for sha in ("aa", "bb")]
    await fill(engine, "reference_tokens", [*heard, {**reference, "model_id": "m2", "audio_sha256": "cc"}])
    await open_store()
    async with engine.connect() as connection:
        kept = (await connection.execute(text("SELECT audio_sha256 FROM reference_tokens"))).scalars().all()
    assert Counter(kept) == Counter(["aa", "bb", "cc"])


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_text_that_only_sqlite_took_is_made_storable(engine, open_store):
    odd = {**rows("voices")[0], "display_name": "An\0ne", "transcript": "\0"}
    await fill(engine, "voices", [odd])
    found = await (await open_store()).find("anne")
    assert (found.display_name, found.transcript) == ("An\ufffdne", "\ufffd")


async def test_migration_that_fails_changes_nothing_and_can_be_done_again(old, open_store):
    async with old.begin() as connection:
        table = await connection.run_sync(lambda sync: Table("designed_speakers", MetaData(), autoload_with=sync))
        await connection.execute(update(table).where(table.c.gender == "male").values(style_tokens=b"odd"))
    with pytest.raises(ValueError, match="buffer size"):
        await open_store()
    async with old.begin() as connection:
        assert sorted(await connection.run_sync(lambda sync: inspect(sync).get_table_names())) == sorted(TABLES)
        assert len((await connection.execute(select(table))).all()) == 2
        await connection.execute(delete(table).where(table.c.gender == "male"))
    assert [voice.id for voice in await (await open_store()).page("", 10)] == ["anne", "bo"]


async def test_database_of_a_newer_version_is_left_alone(engine, open_store):
    await open_store()
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CommandError, match="9999"):
        await open_store()


STARTER = """
import asyncio, sys
from services.gateway.voices.store import VoiceStore

async def main():
    store = VoiceStore(sys.argv[1])
    print("loaded", flush=True)
    sys.stdin.readline()
    await store.start()
    print(*(voice.id for voice in await store.page("", 1000)))
    await store.stop()

asyncio.run(main())
"""


async def test_of_processes_that_start_at_once_one_migrates_and_all_find_the_voices(engine, url):
    number = [f"{place:04}" for place in range(500)]
    await fill(engine, "voices", [{**rows("voices")[0], "id": each} for each in number])
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-W", "error", "-c", STARTER, url)
    starters = [await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(2)]
    for starter in starters:
        assert await starter.stdout.readline() == b"loaded\n"
    for starter in starters:
        starter.stdin.write(b"\n")
    for starter in starters:
        output, errors = await starter.communicate()
        assert (output.decode().split(), errors.decode()) == (number, "")


async def test_gateway_waits_for_another_that_holds_the_lock(engine, url):
    # The driver of SQLite gives up sooner than the store.
    waiting = VoiceStore(f"{url}?timeout=0.05" if url.startswith("sqlite") else url)
    async with engine.begin() as connection:
        await lock(connection)
        start = asyncio.create_task(waiting.start())
        done, _ = await asyncio.wait({start}, timeout=0.5)
        assert not done
    await start
    assert await waiting.page("", 1) == ()
    await waiting.stop()
