"""Output as lines of a task's log, in bounded memory and number."""

from __future__ import annotations

import pytest

from operators.task_log import MAX_LINE, TAIL_LINES, Lines, TaskLog, printable


def shown(*chunks: bytes, **limits: int) -> tuple[list[str], int]:
    seen: list[str] = []
    log = TaskLog(seen.append, **{"max_lines": 5, **limits})
    for chunk in chunks:
        log.feed(chunk)
    log.end()
    return seen, log.lines


def test_lines_are_put_together_from_chunks() -> None:
    lines = Lines()
    assert list(lines.feed(b"a")) == []
    assert list(lines.feed(b"b\nc\n\nd")) == ["ab", "c", ""]
    assert list(lines.rest()) == ["d"]
    assert list(lines.rest()) == []


def test_a_long_line_is_cut_however_it_comes() -> None:
    lines = Lines()
    assert list(lines.feed(b"x" * MAX_LINE)) == []
    assert list(lines.feed(b"xyz\n")) == [f"{'x' * MAX_LINE} ... (3 more bytes)"]


@pytest.mark.parametrize("hostile", ["\r", "\x1b[2K", "\u2028", "\x85", "\x00"])
def test_what_moves_a_cursor_or_ends_a_line_is_escaped(hostile: str) -> None:
    assert printable(f"a{hostile}b".encode()).isprintable()


def test_a_short_output_is_shown_whole() -> None:
    assert shown(b"1\n2\n3\n4\n5\n") == (["1", "2", "3", "4", "5"], 5)
    assert shown(b"1\n2") == (["1", "2"], 2)
    assert shown() == ([], 0)


def test_a_long_output_is_counted_and_its_end_shown() -> None:
    numbers = [str(n) for n in range(1_000)]
    text = "\n".join(numbers).encode() + b"\n"
    for size in (1, 7, 100, len(text)):
        chunks = [text[i : i + size] for i in range(0, len(text), size)]
        seen, lines = shown(*chunks)
        assert lines == 1_000
        assert seen[:5] == numbers[:5]
        assert seen[-TAIL_LINES:] == numbers[-TAIL_LINES:]
        said = f"... {1_000 - 5 - TAIL_LINES} lines are left out here; there were 1,000 in all."
        assert seen[-TAIL_LINES - 1] == said


def test_the_end_of_a_long_output_need_not_end_a_line() -> None:
    seen, lines = shown(b"1\n2\n3\n4\n5\n6\n7")
    assert seen[-2:] == ["6", "7"]
    assert lines == 7


def test_bytes_are_bounded_as_lines_are() -> None:
    chunk = b"x" * 999 + b"\n"
    seen, lines = shown(*[chunk] * 100, max_lines=1_000, max_bytes=10_000)
    assert lines == 100
    assert len([line for line in seen if line.startswith("x")]) == 10 + TAIL_LINES


def test_one_line_without_end_takes_no_memory() -> None:
    seen, lines = shown(*[b"x" * 100_000] * 400, max_bytes=2_000_000)
    assert lines == 1
    assert sum(map(len, seen)) < 100_000


def test_streams_do_not_cut_each_other_s_lines() -> None:
    seen: list[str] = []
    log = TaskLog(seen.append, max_lines=10)
    log.feed(b"out", 1)
    log.feed(b"error\n", 2)
    log.feed(b"put\n", 1)
    log.end()
    assert seen == ["error", "output"]
