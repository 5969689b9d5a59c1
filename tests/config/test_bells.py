"""The embedded queue's transport: whole messages, each taken once, none lost on the way."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from queue import Empty

import pytest
from kombu import Connection

READERS = WRITERS = 3
EACH = 60


@pytest.fixture
def connect(tmp_path):
    opened = []

    def open_one():
        options = {"data_folder_in": str(tmp_path), "polling_interval": 0.01}
        connection = Connection(transport="config.bells:Transport", transport_options=options)
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.release()


def write(queue, writer):
    for number in range(EACH):
        queue.put({"from": [writer, number], "padding": "." * 20_000})


def read(queue, written):
    taken, finished = [], False
    while not finished:
        finished = written.is_set()
        with contextlib.suppress(Empty):
            while True:
                message = queue.get(block=False)
                message.ack()
                taken.append(tuple(message.payload["from"]))
    return taken


def test_readers_take_every_message_once_while_others_write(connect):
    written = threading.Event()
    queues = [connect().SimpleQueue("bells") for _ in range(READERS + WRITERS)]
    with ThreadPoolExecutor(READERS + WRITERS) as pool:
        reading = [pool.submit(read, queues.pop(), written) for _ in range(READERS)]
        writing = [pool.submit(write, queues.pop(), number) for number in range(WRITERS)]
        wait(writing)
        written.set()
    taken = [pair for one in reading for pair in one.result()]
    assert sorted(taken) == [
        (writer, number) for writer in range(WRITERS) for number in range(EACH)
    ]


def test_a_half_written_message_is_not_seen(connect, tmp_path):
    queue = connect().SimpleQueue("bells")
    (tmp_path / "1-a.part").write_text('{"half')
    assert queue.qsize() == 0
    with pytest.raises(Empty):
        queue.get(block=False)


def test_messages_come_in_the_order_of_writing(connect):
    queue = connect().SimpleQueue("bells")
    for number in range(5):
        queue.put(number)
    assert [queue.get(block=False).payload for _ in range(5)] == [*range(5)]


def test_purging_one_queue_leaves_another(connect):
    bells, others = connect().SimpleQueue("bells"), connect().SimpleQueue("others")
    bells.put(1)
    others.put(2)
    assert bells.clear() == 1
    assert (bells.qsize(), others.qsize()) == (0, 1)


def test_what_a_stopped_reader_had_not_finished_is_there_again(connect):
    reader = connect()
    queue = reader.SimpleQueue("bells")
    queue.put("unfinished")
    queue.get(block=False)
    assert queue.qsize() == 0
    queue.channel.close()
    assert connect().SimpleQueue("bells").get(block=False).payload == "unfinished"
