"""Other clients, measured as ours is.   peers.py NAME PORT BINARY_PORT TOPIC COUNT SIZE"""
import json
import resource
import sys
import threading
import time

name, port, binary_port, topic, count, size = sys.argv[1], *sys.argv[2:5], int(sys.argv[5]), int(sys.argv[6])
payload = b"x" * size
OUTSTANDING = 1000


def used():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


def report(began, before):
    seconds, processor = time.monotonic() - began, used() - before
    print(json.dumps({"messages": count, "seconds": seconds, "rate": count / seconds,
                      "processorMicros": processor * 1e6 / count, "medianMicros": 0}))


def native_produce():
    import pulsar
    client = pulsar.Client(f"pulsar://127.0.0.1:{binary_port}", logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    producer = client.create_producer(topic, max_pending_messages=OUTSTANDING, block_if_queue_full=True)
    done, left = threading.Event(), [count]

    def receipt(result, _):
        left[0] -= 1
        if left[0] == 0:
            done.set()

    began, before = time.monotonic(), used()
    for _ in range(count):
        producer.send_async(payload, receipt)
    producer.flush()
    done.wait(60)
    report(began, before)
    client.close()


def native_consume():
    import pulsar
    client = pulsar.Client(f"pulsar://127.0.0.1:{binary_port}", logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    name_of_topic, subscription = topic.split(":")
    consumer = client.subscribe(name_of_topic, subscription, initial_position=pulsar.InitialPosition.Earliest)
    began, before = time.monotonic(), used()
    for _ in range(count):
        consumer.acknowledge(consumer.receive(30_000))
    report(began, before)
    client.close()


def frames():
    import base64
    return json.dumps({"payload": base64.b64encode(payload).decode(), "context": "1"})


URL = f"ws://127.0.0.1:{port}/ws/v2/producer/persistent/public/default/{topic}"


def websockets_produce():
    import asyncio

    import uvloop
    import websockets

    async def main():
        async with websockets.connect(URL, compression=None, max_queue=OUTSTANDING) as socket:
            frame, room = frames(), asyncio.Semaphore(OUTSTANDING)

            async def receive():
                for _ in range(count):
                    assert json.loads(await socket.recv())["result"] == "ok"
                    room.release()

            began, before = time.monotonic(), used()
            receiving = asyncio.create_task(receive())
            for _ in range(count):
                await room.acquire()
                await socket.send(frame)
            await receiving
            report(began, before)

    uvloop.install()
    asyncio.run(main())


def websocket_client_produce():
    import websocket
    socket = websocket.create_connection(URL)
    frame, room = frames(), threading.Semaphore(OUTSTANDING)

    def receive():
        for _ in range(count):
            assert json.loads(socket.recv())["result"] == "ok"
            room.release()

    began, before = time.monotonic(), used()
    receiving = threading.Thread(target=receive, daemon=True)
    receiving.start()
    for _ in range(count):
        room.acquire()
        socket.send(frame)
    receiving.join()
    report(began, before)
    socket.close()


{"pulsar-client": native_produce, "pulsar-client-consume": native_consume, "websockets": websockets_produce,
 "websocket-client": websocket_client_produce}[name]()
