"""Plays a scenario against a broker by WebSocket and REST, and writes down what came of it: its transcript.

A scenario is a list of steps, each a list of words: what to do, with whom, and how (`generate.py` makes them). After each
step the player waits until the broker is quiet. What differs between two runs on one broker is made equal: topics are named
in the order in which the scenario names them, a message's id is its place, and times are taken out.
"""
import asyncio
import base64
import html
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import websockets
from websockets.asyncio.client import connect


def fields_of(data):
    """The fields of Pulsar's MessageIdData, by their names."""
    names = {1: "ledger", 2: "entry", 3: "partition", 4: "batch", 5: "acks", 6: "size", 7: "first"}
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value - (1 << 64) if value >= 1 << 63 else value

    while at < len(data):
        key = varint()
        kind, name = key & 7, names.get(key >> 3, str(key >> 3))
        if kind == 0:
            found[name] = varint()
        elif kind == 2:
            size = varint()
            found[name] = data[at:at + size].hex()
            at += size
        else:
            raise ValueError(f"kind {kind} in a message's id")
    return found


class Client:
    """One connection, and what came on it since it was asked last."""

    def __init__(self, player, name):
        self.player, self.name = player, name
        self.socket = self.reading = None
        self.seen = []   # what came, to be written down
        self.held = []   # the ids of what was delivered and neither acknowledged nor refused, in order
        self.all = []    # … and of all that was delivered
        self.ended = True

    async def open(self, url):
        try:
            self.socket = await connect(url, ping_interval=None, max_size=None, compression=None, open_timeout=30,
                                        close_timeout=2, proxy=None)
        except websockets.InvalidStatus as why:
            body = (why.response.body or b"").decode(errors="replace")
            self.note(f"refused {why.response.status_code} {self.player.text_of_refusal(body)}")
            return
        except (websockets.InvalidHandshake, OSError) as why:
            self.note(f"no handshake: {type(why).__name__}")
            return
        self.ended = False
        self.note("open")
        self.reading = asyncio.ensure_future(self.read())

    async def read(self):
        try:
            async for frame in self.socket:
                self.take(frame)
            self.note(f"closed {self.socket.close_code} {self.socket.close_reason}")
        except websockets.ConnectionClosed:
            reason = self.player.make_equal(self.socket.close_reason or "")
            self.note(f"closed {self.socket.close_code} {reason}")
        self.ended = True

    def note(self, text):
        self.player.last = time.monotonic()
        self.seen.append(text)

    def take(self, frame):
        try:
            message = json.loads(frame)
        except ValueError:
            self.note(f"not JSON: {frame!r}")
            return
        if "payload" in message:
            self.held.append(message["messageId"])
            self.all.append(message["messageId"])
            message["payload"] = base64.b64decode(message["payload"]).decode(errors="replace")
            message["publishTime"] = "T" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)",
                                                         message["publishTime"]) else message["publishTime"]
        for name in ("ORIGIN_MESSAGE_ID", "ORIGIN_MESSAGE_IDY_TIME", "REAL_TOPIC"):
            if name in message.get("properties", {}):
                message["properties"][name] = self.make_equal(message["properties"][name])
        if message.get("messageId"):
            message["messageId"] = self.player.place_of(message["messageId"])
        if message.get("errorMsg", "").startswith("Cannot invoke"):
            del message["errorMsg"]  # Java leaves it out when it has thrown the same often
        if message.get("errorMsg"):
            message["errorMsg"] = self.player.make_equal(message["errorMsg"])
        self.note(json.dumps(message, sort_keys=True))

    async def send(self, text):
        try:
            await self.socket.send(text)
        except (websockets.ConnectionClosed, AttributeError):
            self.note("cannot send")

    async def close(self):
        if self.socket and not self.ended:
            await self.socket.close()
            await self.reading
        self.ended = True

    def abort(self):
        """Without a close frame."""
        if self.socket and not self.ended:
            self.reading.cancel()
            self.socket.transport.abort()
        self.ended = True


class Player:
    def __init__(self, url, prefix, quiet):
        """`quiet` is how many seconds the broker says nothing when it has said everything."""
        self.url, self.prefix, self.quiet = url.rstrip("/"), prefix, quiet
        self.clients, self.topics, self.ledgers = {}, {}, {}
        self.last = time.monotonic()

    # -- what is made equal

    def topic(self, name):
        """persistent://tenant/namespace/NAME of what a scenario calls `name` or `non-persistent:name` or `ns2/name`."""
        persistence, _, rest = name.rpartition(":")
        namespace, _, short = rest.rpartition("/")
        whole = f"{persistence or 'persistent'}://{namespace or 'public/default'}/{self.prefix}-{short}"
        self.topics[whole] = name
        return whole

    def make_equal(self, text):
        text = text.replace(self.prefix + "-", "").replace(self.prefix, "PREFIX")
        for pattern, instead in [
                (r"standalone-\d+-\d+", "NAME"), (r"reader-[0-9a-f]{10}", "READER"),
                (r"((localhost|[\d.]+)?/)?\d+\.\d+\.\d+\.\d+(:\d+)?", "HOST"), (r'"reqId":\d+', '"reqId":N'),
                (r"\b\d+:\d+(:-?\d+)*\b", "ID"), (r'"ledgerId":\d+', '"ledgerId":L'), (r"@[0-9a-f]{4,}", "@X"),
                (r"could not be parsed at index \d+", "could not be parsed"),
                (r"(?s)^(Unrecognized token|Cannot deserialize|Cannot construct|Cannot coerce|No content to map|Unexpected).*", "NOT THIS JSON"),
                (r"(?s)<html>.*<title>(.*?)</title>.*", r"PAGE \1"),
                (r"^(Cannot invoke .*|NullPointerException)$", "NULL"),  # Java leaves the words out when it has said them often
                (r"java.lang.IndexOutOfBoundsException.*", "NO ID")]:
            text = re.sub(pattern, instead, text)
        return text

    def text_of_refusal(self, body):
        found = re.search(r"<th>MESSAGE:</th><td>(.*?)</td>", body, re.DOTALL)
        text = found.group(1) if found else body
        return self.make_equal(html.unescape(text))[:300]

    def place_of(self, encoded):
        try:
            place = fields_of(base64.b64decode(encoded))
        except (ValueError, IndexError):
            return f"unreadable {encoded}"
        ledger = place.get("ledger", -1)
        if ledger >= 0:
            place["ledger"] = self.ledgers.setdefault(ledger, len(self.ledgers))
        return " ".join(f"{k}={v}" for k, v in place.items())

    # -- steps

    def path(self, kind, topic, subscription=None):
        persistence, rest = self.topic(topic).split("://")
        parts = [persistence, *rest.split("/", 2)]
        if subscription is not None:
            parts.append(subscription)
        return f"/ws/v2/{kind}/" + "/".join(urllib.parse.quote(p, safe="") for p in parts)

    def client(self, name):
        return self.clients.setdefault(name, Client(self, name))

    async def rest(self, method, path, body=None):
        def ask():
            request = urllib.request.Request("http" + self.url.removeprefix("ws") + "/admin/v2/" + path, method=method,
                                             data=body.encode() if body is not None else None,
                                             headers={"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as why:
                return why.code, why.read().decode(errors="replace")
            except TimeoutError:
                print(f"{self.url} did not answer {method} {path} within 30 s", file=sys.stderr)
                return 0, "no answer"
        status, text = await asyncio.to_thread(ask)
        self.last = time.monotonic()
        try:  # the order of members is another each time that Java starts
            text = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
        except ValueError:
            pass
        return status, text

    def rest_path(self, topic):
        persistence, rest = self.topic(topic).split("://")
        return f"{persistence}/" + "/".join(urllib.parse.quote(p, safe="") for p in rest.split("/", 2))

    async def settle(self, at_least=0.0):
        begin = time.monotonic()
        while (left := max(self.last + self.quiet, begin + at_least) - time.monotonic()) > 0:
            await asyncio.sleep(left)

    async def step(self, what, *words):
        """Does one step; gives what the broker's REST answered, if it was asked."""
        do = getattr(self, "do_" + what)
        self.last = time.monotonic()
        said = await do(*words)
        return said

    async def do_produce(self, name, topic, query=""):
        await self.client(name).open(self.url + self.path("producer", topic) + self.query(query))

    async def do_consume(self, name, topic, subscription, query=""):
        await self.client(name).open(self.url + self.path("consumer", topic, subscription) + self.query(query))

    async def do_consume_many(self, name, topics, subscription, query=""):
        listed = ",".join(self.topic(t) for t in topics.split(","))
        query = "&".join(x for x in ("topics=" + urllib.parse.quote(listed, safe=""), query) if x)
        await self.client(name).open(f"{self.url}/ws/v3/consumer/{subscription}{self.query(query)}")

    async def do_consume_pattern(self, name, pattern, subscription, query=""):
        pattern = f"persistent://public/default/{self.prefix}-{pattern}"
        query = "&".join(x for x in ("topicsPattern=" + urllib.parse.quote(pattern, safe=""), query) if x)
        await self.client(name).open(f"{self.url}/ws/v3/consumer/{subscription}{self.query(query)}")

    async def do_read(self, name, topic, query=""):
        await self.client(name).open(self.url + self.path("reader", topic) + self.query(query))

    async def do_open(self, name, path):
        """A handshake as it is written."""
        await self.client(name).open(self.url + path.replace("PREFIX", self.prefix))

    def query(self, query):
        """In a query, `@topic` is a topic's whole name, and `#client:n` the n-th id that a client was given."""
        def name(found):
            return urllib.parse.quote(self.topic(found.group(1)), safe="")

        def id_of(found):
            ids = self.client(found.group(1)).all
            n = int(found.group(2))
            return urllib.parse.quote(ids[n % len(ids)], safe="") if ids else "earliest"
        query = re.sub(r"@([a-z0-9:/-]+)", name, query)
        query = re.sub(r"#([a-z0-9]+):(\d+)", id_of, query)
        return "?" + query if query else ""

    async def do_send(self, name, payload, more=""):
        frame = {"payload": base64.b64encode(payload.encode()).decode(), "context": payload}
        if more:
            frame.update(json.loads(more))
        await self.client(name).send(json.dumps(frame))

    async def do_burst(self, name, payloads):
        """Several at once, with commas between."""
        for payload in payloads.split(","):
            await self.do_send(name, payload)

    async def do_raw(self, name, text):
        await self.client(name).send(text)

    async def do_ack(self, name, which):
        """Acknowledges the message that was delivered `which`-th of those in hand; `all` for all of them."""
        await self.settle_messages(name, which, {})

    async def do_nack(self, name, which):
        await self.settle_messages(name, which, {"type": "negativeAcknowledge"})

    async def settle_messages(self, name, which, frame):
        client = self.client(name)
        if which == "all":
            ids, client.held = client.held, []
        elif client.held:
            ids = [client.held.pop(int(which) % len(client.held))]
        else:
            ids = []
        for one in ids:
            await client.send(json.dumps({**frame, "messageId": one}))

    async def do_ack_again(self, name, which):
        """Of all that were ever delivered to it, also what it has acknowledged."""
        client = self.client(name)
        if client.all:
            await client.send(json.dumps({"messageId": client.all[int(which) % len(client.all)]}))

    async def do_permit(self, name, n):
        await self.client(name).send(json.dumps({"type": "permit", "permitMessages": int(n)}))

    async def do_end_of_topic(self, name):
        await self.client(name).send('{"type":"isEndOfTopic"}')

    async def do_unsubscribe(self, name):
        await self.client(name).send('{"type":"unsubscribe"}')

    async def do_close(self, name):
        await self.client(name).close()
        self.client(name).held = []

    async def do_abort(self, name):
        self.client(name).abort()
        self.client(name).held = []

    async def do_wait(self, seconds):
        await self.settle(float(seconds))

    async def do_wait_loosely(self, seconds):
        """How often something comes meanwhile is not compared."""
        await self.settle(float(seconds))

    async def do_rest(self, method, topic, rest="", body=None):
        """Asks about a topic: PUT orders /partitions 4"""
        status, text = await self.rest(method, self.rest_path(topic) + rest, body)
        return f"{status} {self.make_equal(text)[:300]}"

    async def do_ask(self, method, path, body=None):
        status, text = await self.rest(method, path.replace("PREFIX", self.prefix), body)
        return f"{status} {self.make_equal(text)[:300]}"

    async def do_backlog(self, topic, subscription):
        """How many messages of a subscription are not acknowledged, who is on it, and of what type it is."""
        status, text = await self.rest("GET", self.rest_path(topic) + "/stats?subscriptionBacklogSize=true")
        if status != 200:
            return f"{status} {self.make_equal(text)[:300]}"
        found = json.loads(text)["subscriptions"].get(subscription)
        if found is None:
            return "no such subscription"
        return f"{found['msgBacklog']} type={found.get('type')} durable={found.get('durable')} " \
               f"consumers={len(found['consumers'])} unacked={found['unackedMessages']}"

    async def play(self, scenario):
        """The transcript: for each step what was said, and what came to whom."""
        transcript = []
        for step in scenario:
            said = await self.step(*step)
            await self.settle()
            seen = {n: c.seen for n, c in self.clients.items() if c.seen}
            for c in self.clients.values():
                c.seen = []
            transcript.append({"step": step, **({"said": said} if said is not None else {}), **({"seen": seen} if seen else {})})
        return transcript

    async def tidy(self):
        for c in self.clients.values():
            c.abort()
        for topic in list(self.topics):
            persistence, rest = topic.split("://")
            path = f"{persistence}/" + "/".join(urllib.parse.quote(p, safe="") for p in rest.split("/", 2))
            await self.rest("DELETE", path + "?force=true")


def shown(transcript):
    """For people."""
    lines = []
    for entry in transcript:
        lines.append("- " + " ".join(entry["step"]))
        if "said" in entry:
            lines.append("    " + entry["said"])
        for name, seen in sorted(entry.get("seen", {}).items()):
            lines += [f"    {name}: {one}" for one in seen]
    return "\n".join(lines)
