from services.cli.log_line import readable


def test_json_becomes_level_message_and_values() -> None:
    line = b'{"level": "INFO", "message": "serving", "stage": "llm", "color_message": "x", "port": 50052}\n'
    assert readable(line) == "INFO    serving port=50052"


def test_traceback_keeps_its_lines() -> None:
    line = b'{"level": "ERROR", "message": "died", "exc_info": "Traceback\\n  boom"}'
    assert readable(line) == "ERROR   died\nTraceback\n  boom"


def test_what_is_no_log_record_stays() -> None:
    assert [readable(line) for line in (b"plain words\n", b"[1, 2]\n", b'{"a": 1}\n', b"\xff\n")] == [
        "plain words",
        "[1, 2]",
        '{"a": 1}',
        "�",
    ]


def test_a_callers_value_makes_no_line_and_no_colour() -> None:
    line = b'{"level": "INFO", "message": "http", "path": "/x\\ngateway | ERROR forged\\u001b[31m\\u0000"}'
    assert readable(line) == r"INFO    http path=/x\ngateway | ERROR forged\x1b[31m\x00"
