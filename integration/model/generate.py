"""Random scenarios for `player.py`. A seed is a scenario: the same one each time."""
import json
import random

TYPES = ["Exclusive", "Shared", "Failover", "Key_Shared"]


class Scenario:
    """Knows, roughly, what is open, so that most steps make sense; some do not, on purpose."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.steps, self.payloads, self.names = [], 0, 0
        self.producers, self.consumers, self.readers = {}, {}, {}  # by name: what they were opened with
        self.closed = False

    def add(self, *step):
        self.steps.append([str(word) for word in step])

    def name(self, letter):
        self.names += 1
        return f"{letter}{self.names}"

    def chance(self, p):
        return self.r.random() < p

    def pick(self, values):
        return self.r.choice(sorted(values))

    def payload(self):
        self.payloads += 1
        return f"m{self.payloads}"

    # -- opening

    def produce(self, topic, *more):
        query = list(more)
        if self.chance(0.15) and not any("producerName" in q for q in query):
            query.append("producerName=" + self.pick(["alice", "bob"]))
        if self.chance(0.1):
            query.append("compressionType=" + self.pick(["LZ4", "ZLIB", "ZSTD", "SNAPPY", "NONE"]))
        if self.chance(0.1):
            query.append("sendTimeoutMillis=30000")
        name = self.name("p")
        self.add("produce", name, topic, "&".join(query))
        self.producers[name] = (topic, query)
        return name

    def consume(self, topic, subscription, kind, *more, queue=None):
        query = [f"subscriptionType={kind}", *more]
        if self.chance(0.6):
            query.append("subscriptionInitialPosition=Earliest")
        if queue is not None:
            query.append(f"receiverQueueSize={queue}")
        elif self.chance(0.35):
            query.append(f"receiverQueueSize={self.r.choice([0, 1, 2, 3, 5, 10])}")
        name = self.name("c")
        if kind in ("Failover", "Key_Shared") or self.chance(0.2):
            query.append(f"consumerName={name}-{self.r.randrange(100)}")
        if kind in ("Shared", "Failover") and self.chance(0.2):
            query.append(f"priorityLevel={self.r.randrange(3)}")
        if "negativeAckRedeliveryDelay" not in "".join(query):
            query.append("negativeAckRedeliveryDelay=300")
        self.add("consume", name, topic, subscription, "&".join(query))
        if kind == "Failover":
            self.add("wait", 1.3)  # the broker lets a second pass before another is the active one
        self.consumers[name] = (topic, subscription, query)
        return name

    # -- steps

    def send(self, producer=None, keyed=None, more=None):
        name = producer or self.pick(self.producers)
        frame = dict(more or {})
        if keyed or (keyed is None and self.chance(0.3)):
            frame["key"] = self.pick("abcdefgh")
        if self.chance(0.15):
            frame["properties"] = {"n": str(self.r.randrange(10)), "text": self.pick(["a b", "é", '"']) }
        if self.chance(0.1):
            frame["eventTime"] = self.pick(["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.250+02:00", "2001-09-09T01:46:40.120Z"])
        self.add("send", name, self.payload(), json.dumps(frame) if frame else "")

    def burst(self, producer=None, n=None):
        # How a broker cuts what comes at once into pieces for several consumers, nobody can say.
        if len(self.consumers) > 1:
            for _ in range(self.r.randrange(1, 4)):
                self.send(producer)
            return
        name = producer or self.pick(self.producers)
        self.add("burst", name, ",".join(self.payload() for _ in range(n or self.r.randrange(2, 9))))

    def settle(self):
        name = self.pick(self.consumers)
        self.add(self.r.choice(["ack", "ack", "ack", "ack_again"]), name, self.r.choice([0, 0, 1, 2]))

    def nack(self):
        self.add("nack", self.pick(self.consumers), self.r.choice([0, 0, 1, 2]))
        self.add("wait", 0.9)

    def leave(self):
        name = self.pick(self.consumers)
        topic, subscription, query = self.consumers.pop(name)
        self.add("close" if self.chance(0.7) else "abort", name)
        if any("Failover" in q for q in query):
            self.add("wait", 1.3)
        return topic, subscription, query

    def look(self):
        topic, subscription, _ = self.consumers[self.pick(self.consumers)] if self.consumers else ("t", "s", None)
        self.add("backlog", topic, subscription)


# -- kinds: each is about one thing ---------------------------------------------------------


def queue_of_one_type(kind):
    def make(s):
        producer = s.produce("t", *(["producerName=keys"] if kind == "Key_Shared" else []))
        if s.chance(0.5):
            s.burst(producer)
        s.consume("t", "s", kind)
        for _ in range(s.r.randrange(5, 12)):
            what = s.r.random()
            if what < 0.25:
                s.send()
            elif what < 0.35:
                s.burst()
            elif what < 0.6:
                s.settle()
            elif what < 0.7:
                s.nack()
            elif what < 0.8:
                s.consume("t", "s", kind if s.chance(0.9) else s.pick(TYPES))
            elif what < 0.87 and len(s.consumers) > 1:
                s.leave()
            elif what < 0.87:  # the last; another comes, and finds no counts
                s.nack()
                s.leave()
                s.consume("t", "s", kind)
            elif what < 0.93:
                s.look()
            elif what < 0.96:
                s.add("ack", s.pick(s.consumers), "all")
            else:
                s.add("unsubscribe", s.pick(s.consumers))
        s.look()
    return make


def pull(s):
    producer = s.produce("t")
    s.burst(producer)
    kind = s.pick(["Exclusive", "Shared"])
    s.consume("t", "s", kind, "pullMode=true", queue=s.r.choice([None, 2, 5]))
    if kind == "Shared" and s.chance(0.5):
        s.consume("t", "s", kind, "pullMode=true")
    for _ in range(s.r.randrange(5, 12)):
        what = s.r.random()
        if what < 0.35:
            s.add("permit", s.pick(s.consumers), s.r.choice([1, 1, 2, 3, 10]))
            if s.chance(0.3):  # while there is nothing left to send
                s.add("permit", s.pick(s.consumers), s.r.choice([1, 2, 10]))
        elif what < 0.5:
            s.burst()
        elif what < 0.75:
            s.settle()
        elif what < 0.85:
            s.nack()
        else:
            s.look()


def batches(s):
    producer = s.produce("t", "batchingEnabled=true", f"batchingMaxMessages={s.r.choice([2, 3, 5, 100])}",
                         f"batchingMaxPublishDelay={s.r.choice([60, 100])}",
                         *([f"maxPendingMessages={s.r.choice([2, 4])}"] if s.chance(0.2) else []))
    s.burst(producer)
    kind = s.pick(["Exclusive", "Shared"])
    s.consume("t", "s", kind)
    for _ in range(s.r.randrange(5, 11)):
        what = s.r.random()
        if what < 0.3:
            s.burst(producer)
        elif what < 0.65:
            s.settle()
        elif what < 0.75:
            s.nack()
        elif what < 0.85:
            s.look()
        elif what < 0.92:
            name = s.name("r")
            s.add("read", name, "t", f"messageId=#{s.pick(s.consumers)}:{s.r.randrange(6)}")
        elif len(s.consumers) > 1 or s.chance(0.5):
            topic, subscription, _ = s.leave() if s.consumers else ("t", "s", None)
            s.consume("t", "s", kind)
        else:
            s.consume("t", "s", kind)


def dead_letters(s):
    producer = s.produce("t", *(["batchingEnabled=true", "batchingMaxPublishDelay=60"] if s.chance(0.3) else []))
    most = s.r.choice([1, 2])
    where = s.chance(0.5)
    s.consume("t", "s", s.pick(["Shared", "Key_Shared"]), f"maxRedeliverCount={most}", *(["deadLetterTopic=@dead"] if where else []),
              "subscriptionInitialPosition=Earliest")
    s.burst(producer, 2)
    for _ in range(s.r.randrange(3, 7)):
        if s.chance(0.75):
            s.nack()
        elif s.chance(0.5):
            s.settle()
        else:
            s.send(producer)
    s.add("wait", 0.5)
    s.add("read", s.name("r"), "dead" if where else "t-s-DLQ", "messageId=earliest")
    s.look()


def readers(s):
    producer = s.produce("t")
    s.burst(producer)
    for _ in range(s.r.randrange(5, 10)):
        what = s.r.random()
        if what < 0.35:
            name = s.name("r")
            where = s.r.choice(["earliest", "latest", None] + ([f"#{s.pick(s.readers)}:{s.r.randrange(5)}"] if s.readers else []))
            query = [f"messageId={where}"] if where else []
            if s.chance(0.4):
                query.append(f"receiverQueueSize={s.r.choice([0, 1, 2, 3])}")
            if s.chance(0.2):
                query.append("readerName=me")
            s.add("read", name, "t", "&".join(query))
            s.readers[name] = query
        elif what < 0.55:
            s.send()
        elif what < 0.85 and s.readers:
            s.add("raw", s.pick(s.readers), s.r.choice(["{}", '{"messageId":"CAEQAQ=="}', '{"type":"isEndOfTopic"}']))
        elif what < 0.95:
            s.burst()
        elif s.readers:
            s.add("raw", s.pick(s.readers), "nonsense")


def several_topics(s):
    topics = ["a", "b", "c"][:s.r.choice([2, 3])]
    producers = {t: s.produce(t) for t in topics}
    name = s.name("c")
    kind = s.pick(["Exclusive", "Shared"])
    query = f"subscriptionType={kind}&subscriptionInitialPosition=Earliest&negativeAckRedeliveryDelay=300"
    if s.chance(0.3):
        s.add("consume_pattern", name, "[ab]", "s", query)
    else:
        s.add("consume_many", name, ",".join(topics), "s", query)
    s.consumers[name] = (topics[0], "s", [])
    for _ in range(s.r.randrange(5, 10)):
        what = s.r.random()
        if what < 0.45:
            s.send(producers[s.pick(topics)])
        elif what < 0.7:
            s.add("ack", name, 0)
        elif what < 0.8:
            s.nack()
        else:
            s.add("backlog", s.pick(topics), "s")


def partitions(s):
    s.add("rest", "PUT", "t", "/partitions", s.r.choice([1, 2, 3, 5]))
    producer = s.produce("t", *(["hashingScheme=Murmur3_32Hash"] if s.chance(0.5) else []),
                         *(["messageRoutingMode=RoundRobinPartition"] if s.chance(0.3) else []))
    for _ in range(s.r.randrange(2, 6)):
        s.send(producer, keyed=True)
    kind = s.pick(["Exclusive", "Shared", "Failover"])
    name = s.name("c")
    s.add("consume", name, "t", "s", f"subscriptionType={kind}&subscriptionInitialPosition=Earliest&negativeAckRedeliveryDelay=300")
    s.consumers[name] = ("t", "s", [])
    s.add("wait", 1.3)
    for _ in range(s.r.randrange(3, 8)):
        what = s.r.random()
        if what < 0.5:
            s.send(producer, keyed=True)
        elif what < 0.8:
            s.settle()
        elif what < 0.9:
            s.add("rest", "GET", "t", "/partitions")
        else:
            s.add("ack", name, "all")
    if s.chance(0.3):
        s.add("read", s.name("r"), "t", "messageId=earliest")
    s.add("rest", "POST", "t", "/terminate/partitions" if s.chance(0.5) else "/terminate")


def numbered(s):
    namespace = "public/PREFIX"
    s.add("ask", "PUT", f"namespaces/{namespace}")
    if s.chance(0.85):
        s.add("ask", "POST", f"namespaces/{namespace}/deduplication", "true")
    path = f"/ws/v2/producer/persistent/{namespace}/t"
    stored = -1
    for _ in range(s.r.randrange(2, 5)):
        name = s.name("p")
        start = s.r.choice([None, -1, max(stored - 1, -1), stored, stored + 2])
        s.add("open", name, path + "?producerName=n" + (f"&initialSequenceId={start}" if start is not None else ""))
        for _ in range(s.r.randrange(1, 4)):
            s.add("send", name, s.payload())
            stored += 1
        s.add("close", name)
    s.add("open", "r", f"/ws/v2/reader/persistent/{namespace}/t?messageId=earliest")
    s.add("close", "r")
    s.add("ask", "DELETE", f"namespaces/{namespace}?force=false")


def administration(s):
    if s.chance(0.7):
        s.burst(s.produce("t"))
    else:
        s.add("rest", "PUT", "t")
    unloaded = False
    for _ in range(s.r.randrange(6, 12)):
        sub = s.pick(["s", "s", "u"])
        what = s.r.randrange(15)
        if what == 0:
            s.add("rest", "PUT", "t", f"/subscription/{sub}", s.r.choice(['"earliest"', '"latest"']))
        elif what == 1:
            s.add("rest", "DELETE", "t", f"/subscription/{sub}" + s.r.choice(["", "?force=true"]))
            s.add("wait", 0.6)
        elif what == 2:
            s.add("rest", "POST", "t", f"/subscription/{sub}/skip/{s.r.randrange(4)}")
        elif what == 3:
            s.add("rest", "POST", "t", f"/subscription/{sub}/skip_all")
        elif what in (4, 13) and (len(s.consumers) > 1 or s.closed):
            pass  # they come back in any order; and a topic that was terminated and unloaded has errors of its own
        elif what == 4:
            s.add("rest", "POST", "t", f"/subscription/{sub}/resetcursor/0")
            s.add("wait", 1.5)
        elif what == 5:
            s.add("rest", "GET", "t", "/subscriptions")
        elif what in (6, 7):
            s.add("backlog", "t", sub)
        elif what in (8, 9):
            s.consume("t", sub, s.pick(["Exclusive", "Shared"]))
        elif what == 10 and s.consumers:
            s.settle()
        elif what == 11 and s.producers:
            s.send()
        elif what == 12 and s.consumers:
            s.add("end_of_topic", s.pick(s.consumers))
        elif what == 13 and s.chance(0.3):
            s.add("rest", "PUT", "t", "/unload")
            s.add("wait", 2)
            unloaded = True
        elif what == 14 and s.chance(0.5) and not unloaded:
            s.add("rest", "POST", "t", "/terminate")
            s.closed = True
        else:
            s.add("rest", "GET", s.pick(["t", "nope"]), "/partitions")
    if s.chance(0.3):
        s.add("rest", "DELETE", "t")


def ends(s):
    """Topics that are terminated."""
    producer = s.produce("t")
    s.burst(producer)
    s.consume("t", "s", s.pick(TYPES))
    if s.chance(0.5):
        s.readers["r"] = ""
        s.add("read", "r", "t", "messageId=earliest")
    for i in range(s.r.randrange(6, 10)):
        what = s.r.random()
        if i == 2:
            s.add("rest", "POST", "t", "/terminate")
        elif what < 0.25:
            s.settle()
        elif what < 0.4:
            s.add("ack", s.pick(s.consumers), "all")
        elif what < 0.7:
            s.add("end_of_topic", s.pick(s.consumers) if not s.readers or s.chance(0.6) else "r")
        elif what < 0.8:
            s.send(producer)
        elif what < 0.9:
            s.consume("t", s.pick(["s", "u"]), "Shared")
        else:
            s.produce("t")


def not_stored(s):
    producer = s.produce("non-persistent:t")
    s.send(producer)
    for _ in range(s.r.randrange(5, 9)):
        what = s.r.random()
        if what < 0.3:
            name = s.name("c")
            s.add("consume", name, "non-persistent:t", s.pick(["s", "u"]), f"subscriptionType={s.pick(['Exclusive', 'Shared'])}")
            s.consumers[name] = ("non-persistent:t", "s", [])
        elif what < 0.7 or not s.consumers:
            s.send(producer)
        else:
            s.add("ack", s.pick(s.consumers), "all")


def late(s):
    """Delayed delivery, and acknowledgements that are late."""
    if s.chance(0.5):
        s.consume("t", "s", "Shared")
        producer = s.produce("t")
        for _ in range(s.r.randrange(1, 4)):
            s.send(producer, more={"deliverAfterMs": s.r.choice([200, 2500])})
        s.add("wait", 3.5)
        s.add("ack", s.pick(s.consumers), "all")
    else:
        producer = s.produce("t")
        s.burst(producer, 3)
        s.consume("t", "s", s.pick(["Shared", "Exclusive"]), "ackTimeoutMillis=1000", "subscriptionInitialPosition=Earliest", queue=100)
        s.add("ack", s.pick(s.consumers), 0)
        s.add("wait_loosely", 2.6)
        s.add("ack", s.pick(s.consumers), "all")
    s.look()


FRAMES = ['nonsense', '{}', '[]', '5', '""', '{"payload":"YQ"}', '{"payload":"YQ==","context":5}', '{"payload":"***","context":"c"}',
          '{"payload":"YQ=","context":"c"}', '{"payload":"Y","context":"c"}', '{"payload":"YQ==","properties":{"a":1}}',
          '{"payload":"YQ==","properties":[]}', '{"payload":"YQ==","eventTime":"soon"}', '{"payload":"YQ==","unknown":{}}',
          '{"payload":null}', '{"payload":"YQ==","key":null}', '{"payload":"YQ==","key":""}', '{"payload":"YR=="}', '{"payload":"YWI"}',
          '{"payload":"YQ==","context":{"a":1}}', '{"payload":"","context":"empty"}', '{"payload":"YQ==","deliverAt":"x"}']
WORDS = ['nonsense', '{}', '[]', '{"type":"permit"}', '{"type":"permit","permitMessages":1}', '{"type":"isEndOfTopic"}',
         '{"type":"negativeAcknowledge"}', '{"messageId":"***"}', '{"messageId":"CAEQAQ=="}', '{"messageId":5}',
         '{"type":"unknown","messageId":"CAEQAQ=="}']


def strange_frames(s):
    producer = s.produce("t")
    for frame in s.r.sample(FRAMES, 6):
        s.add("raw", producer, frame)
    s.consume("t", "s", "Exclusive", "subscriptionInitialPosition=Earliest", queue=1000)
    for word in s.r.sample(WORDS, 4):
        s.add("raw", s.pick(s.consumers), word)
        if s.chance(0.3):
            s.consumers.clear()
            s.consume("t", "s", "Exclusive", queue=1000)


QUERIES = {
    "producer": ["sendTimeoutMillis=x", "sendTimeoutMillis=-1", "sendTimeoutMillis=", "batchingEnabled=maybe", "batchingEnabled=TRUE",
                 "compressionType=x", "compressionType=lz4", "hashingScheme=x", "hashingScheme=Murmur3_32Hash", "messageRoutingMode=x",
                 "initialSequenceId=x", "initialSequenceId=", "batchingEnabled=true&batchingMaxMessages=x",
                 "batchingEnabled=true&maxPendingMessages=-1", "batchingEnabled=true&batchingMaxPublishDelay=x", "maxPendingMessages=x",
                 "producerName=", "encryptionKeys=k", "unknown=1"],
    "consumer": ["ackTimeoutMillis=999", "ackTimeoutMillis=x", "ackTimeoutMillis=0", "ackTimeoutMillis=-1", "subscriptionType=shared",
                 "subscriptionMode=x", "subscriptionInitialPosition=x", "receiverQueueSize=x", "receiverQueueSize=-1",
                 "receiverQueueSize=5000", "priorityLevel=-1", "priorityLevel=x", "negativeAckRedeliveryDelay=-1",
                 "negativeAckRedeliveryDelay=x", "maxRedeliverCount=0", "maxRedeliverCount=x", "deadLetterTopic=d",
                 "cryptoFailureAction=x", "cryptoFailureAction=FAIL", "pullMode=maybe", "consumerName=", "unknown=1"],
    "reader": ["receiverQueueSize=x", "receiverQueueSize=-1", "messageId=x", "messageId=", "messageId=***", "readerName=", "unknown=1",
               "cryptoFailureAction=x"],
}
PATHS = ["/ws/v2/producer/persistent/public/default", "/ws/v2/producer/persistent/public/nope/PREFIX-t",
         "/ws/v2/producer/persistent/nope/default/PREFIX-t", "/ws/v2/consumer/persistent/public/default/PREFIX-t",
         "/ws/v2/consumer/persistent/public/nope/PREFIX-t/s", "/ws/v2/reader/persistent/public/nope/PREFIX-t",
         "/ws/v3/consumer/s", "/ws/v3/consumer/s?topics=", "/ws/v3/producer/s", "/ws/v2/nothing/persistent/public/default/PREFIX-t",
         "/ws/v2/producer/bogus/public/default/PREFIX-t", "/ws/v2", "/nothing",
         "/ws/v3/consumer/s?topics=persistent://public/nope/PREFIX-t", "/ws/v2/producer/persistent/public/default/PREFIX-t/more/parts"]


def handshakes(s):
    for _ in range(6):
        kind = s.pick(QUERIES)
        path = f"/ws/v2/{kind}/persistent/public/default/PREFIX-t" + ("/s" if kind == "consumer" else "")
        name = s.name("x")
        if s.chance(0.3):
            s.add("open", name, s.pick(PATHS))
        else:
            s.add("open", name, f"{path}?{s.pick(QUERIES[kind])}")
        s.add("close", name)


KINDS = [queue_of_one_type("Shared"), queue_of_one_type("Shared"), queue_of_one_type("Exclusive"), queue_of_one_type("Failover"),
         queue_of_one_type("Key_Shared"), pull, batches, dead_letters, readers, several_topics, partitions, numbered, administration,
         administration, ends, not_stored, late, strange_frames, handshakes]


def generate(seed):
    scenario = Scenario(seed)
    KINDS[seed % len(KINDS)](scenario)
    return scenario.steps
