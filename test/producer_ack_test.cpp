#include "actors/producer/producer_ack.hpp"
#include "test/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

/// The acknowledger, between callers and a socket that the test plays.
struct fixture : test::actor_fixture {
  explicit fixture(bool once = false) {
    const role_keys keys{role::producer, {.topic = "x"}, {}};
    producer_options o{.topic = keys.topic(), .send_timeout = 10s, .max_pending = 100};
    o.effectively_once = once;
    watch(spawn_producer_ack(tree, keys, std::make_shared<const producer_options>(o), nullptr, me()));
  }

  // Shared, since what the actor has not answered it answers as it goes, which is after this.
  std::shared_ptr<std::vector<caf::expected<message_id>>> box =
    std::make_shared<std::vector<caf::expected<message_id>>>();
  std::vector<caf::expected<message_id>>& answers = *box;

  void produce(std::string payload) {
    publications p;
    p.items.push_back(
      std::make_shared<publication>(message{.payload = std::move(payload)},
                                    [to = box](caf::expected<message_id> a) { to->push_back(std::move(a)); }));
    post(subject, std::move(p));
  }
  void connect(std::uint64_t connection) {
    ask(connection);
    post(subject, link_up{connection, me(), link});
  }
  /// The path of the handshake for a connection.
  std::string ask(std::uint64_t connection, const caf::actor& socket = {}) {
    post(subject, handshake_wanted{connection, socket ? socket : me()});
    const auto answer = take<handshake>();
    REQUIRE((socket || (answer && answer->path)));
    return answer ? *answer->path : "";
  }
  void broker_says(std::uint64_t connection, std::vector<std::string> frames) {
    post(subject, frames_in{connection, std::move(frames)});
    run();
  }
};

struct numbered : fixture {
  numbered() : fixture{true} {}
  static std::string initial(const std::string& path) {
    const auto at = path.find("initialSequenceId=") + 18;
    return path.substr(at, path.find('&', at) - at);
  }
  static std::string known_as(const std::string& path) {
    const auto at = path.find("producerName=") + 13;
    return path.substr(at, path.find('&', at) - at);
  }
  /// A connection of a deduplicating broker.
  void stand(std::uint64_t connection) {
    connect(connection);
    post(subject, fitness_checked{});
    run();
  }
};

/// A socket of its own, which does nothing but end.
caf::behavior idle(caf::event_based_actor* self) {
  return behave(
    self, {}, [](const handshake&) {}, [](const drained&) {});
}

const std::string ok0 = R"({"result":"ok","messageId":"A","context":"0"})";
const std::string ok1 = R"({"result":"ok","messageId":"B","context":"1"})";

} // namespace

TEST_CASE_METHOD(fixture, "what comes while there is no connection is sent when there is one") {
  produce("1");
  produce("2");
  CHECK(sent().empty());
  connect(1);
  CHECK(sent().size() == 2);
  broker_says(1, {ok0, ok1});
  CHECK(answers.size() == 2);
  CHECK(*answers[1] == message_id{"B"});
}

TEST_CASE_METHOD(fixture, "what comes in one turn goes out in one batch") {
  connect(1);
  run();
  for (int i = 0; i < 5; ++i)
    produce("x");
  CHECK(sent().size() == 5);
}

TEST_CASE_METHOD(fixture, "what was not receipted is sent again, in order, by the next connection") {
  connect(1);
  for (const auto* payload : {"1", "2", "3"})
    produce(payload);
  const auto first = sent();
  broker_says(1, {ok1});
  post(subject, link_down{1});
  connect(2);
  CHECK(sent() == std::vector{first[0], first[2]});
  broker_says(1, {ok0}); // a late receipt of the connection that is gone says nothing about this one
  CHECK(answers.size() == 1);
}

TEST_CASE_METHOD(fixture, "a frame that is not JSON costs the connection, and no message") {
  connect(1);
  produce("1");
  const auto first = sent();
  broker_says(1, {"<html>"});
  const auto reset = take<reset_connection>();
  REQUIRE(reset);
  CHECK(reset->connection == 1);
  CHECK(logged.find("not a JSON object") != std::string::npos);
  CHECK(answers.empty());
  connect(2);
  CHECK(sent() == first);
  broker_says(2, {ok0});
  CHECK(answers.size() == 1);
  CHECK(answers[0]);
}

TEST_CASE_METHOD(fixture, "an error without a context costs the connection, and no message") {
  connect(1);
  produce("1");
  CHECK(sent().size() == 1);
  broker_says(1, {R"({"result":"send-error:3","errorMsg":"cannot parse","errorCode":0})"});
  CHECK(take<reset_connection>());
  CHECK(logged.find("cannot parse") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "the end of the broker's producer costs the connection, and no message") {
  const std::string text =
    GENERATE("Producer already closed", "org.apache.pulsar.client.api.PulsarClientException$AlreadyClosedException: x",
             "Producer was fenced");
  connect(1);
  produce("1");
  produce("2");
  const auto first = sent();
  CHECK(first.size() == 2);
  broker_says(1, {R"({"result":"send-error:8","errorMsg":")" + text + R"(","context":"0","errorCode":0})"});
  CHECK(take<reset_connection>());
  CHECK(logged.find(text) != std::string::npos);
  CHECK(answers.empty());
  connect(2);
  CHECK(sent() == first);
  broker_says(2, {ok0});
  CHECK(answers.size() == 1);
}

TEST_CASE_METHOD(fixture, "an error answers the very message it is for") {
  connect(1);
  produce("1");
  produce("2");
  CHECK(sent().size() == 2);
  broker_says(1, {R"({"result":"send-error:8","errorMsg":"full","context":"1","errorCode":0})", ok0});
  REQUIRE(answers.size() == 2);
  CHECK(code_of(answers[0].error()) == errc::rejected);
  CHECK(answers[1]);
}

TEST_CASE_METHOD(fixture, "time is up for what was sent, and for what was not") {
  connect(1);
  produce("1");
  CHECK(sent().size() == 1);
  post(subject, link_down{1});
  advance(4s);
  produce("2");
  advance(6s);
  REQUIRE(answers.size() == 1);
  CHECK(code_of(answers[0].error()) == errc::outcome_unknown);
  advance(4s);
  REQUIRE(answers.size() == 2);
  CHECK(code_of(answers[1].error()) == errc::not_sent);
}

TEST_CASE_METHOD(fixture, "when it dies, everybody who waits is answered") {
  connect(1);
  produce("1");
  CHECK(sent().size() == 1);
  post(subject, link_down{1});
  produce("2");
  run();
  produce("3"); // still in the mailbox
  send_exit(subject, caf::exit_reason::kill);
  run();
  REQUIRE(answers.size() == 3);
  std::vector<errc> codes;
  for (const auto& a : answers)
    codes.push_back(code_of(a.error()));
  std::sort(codes.begin(), codes.end());
  CHECK(codes == std::vector{errc::not_sent, errc::not_sent, errc::outcome_unknown});
}

TEST_CASE_METHOD(fixture, "it drains before it says so, and takes nothing new") {
  connect(1);
  produce("1");
  CHECK(sent().size() == 1);
  post(subject, drain{me()});
  produce("2");
  run();
  REQUIRE(answers.size() == 1);
  CHECK(code_of(answers[0].error()) == errc::stopping);
  CHECK_FALSE(take<drained>());
  broker_says(1, {ok0});
  CHECK(take<drained>());
}

TEST_CASE_METHOD(fixture, "a socket that drained and ended is followed by one that carries again") {
  const auto first = system().spawn(idle);
  ask(1, first);
  post(subject, drain{first});
  produce("1");
  run();
  REQUIRE(answers.size() == 1);
  CHECK(code_of(answers[0].error()) == errc::stopping);
  send_exit(first, caf::exit_reason::user_shutdown);
  run();
  connect(2);
  produce("2");
  CHECK(sent().size() == 1);
  CHECK(answers.size() == 1);
}

TEST_CASE_METHOD(fixture, "the end of a socket is the end of its connection, whether it says so or not") {
  const auto first = system().spawn(idle);
  ask(1, first);
  post(subject, link_up{1, first});
  produce("1");
  run();
  send_exit(first, caf::exit_reason::kill);
  run();
  broker_says(1, {ok0}); // it lay in the mailbox: nobody knows any more for which connection it is
  CHECK(answers.empty());
  connect(2);
  CHECK(sent().size() == 1);
}

TEST_CASE_METHOD(fixture, "the first receipt of a connection is progress") {
  connect(1);
  produce("1");
  produce("2");
  CHECK(sent().size() == 2);
  broker_says(1, {ok0});
  CHECK(take<progress>());
  broker_says(1, {ok1});
  CHECK_FALSE(take<progress>());
}

TEST_CASE_METHOD(numbered, "a connection after a killed socket numbers from what is settled") {
  const auto first = system().spawn(idle);
  ask(1, first);
  CHECK(initial(ask(2)) == "-1");
  stand(2);
  for (const auto* payload : {"1", "2", "3"})
    produce(payload);
  CHECK(sent().size() == 3);
  broker_says(2, {ok0, ok1});
  CHECK(initial(ask(3)) == "1");
  post(subject, link_up{3, me(), link});
  CHECK(sent().size() == 1);
}

TEST_CASE_METHOD(numbered, "messages given up while a connection is made cost that connection") {
  produce("1");
  const auto path = ask(1);
  CHECK(initial(path) == "-1");
  advance(10s);
  REQUIRE(answers.size() == 1);
  produce("2");
  post(subject, link_up{1, me(), link});
  post(subject, fitness_checked{});
  CHECK(take<reset_connection>());
  CHECK(known_as(ask(2)) == known_as(path));
}

TEST_CASE_METHOD(numbered, "a refusal leaves what was sent unknown, and the rest goes on under another name") {
  const auto path = ask(1);
  stand(1);
  produce("1");
  produce("2");
  CHECK(sent().size() == 2);
  broker_says(1, {R"({"result":"send-error:8","errorMsg":"full","context":"0","errorCode":0})"});
  REQUIRE(answers.size() == 2);
  CHECK(code_of(answers[1].error()) == errc::outcome_unknown);
  const auto next = ask(2);
  CHECK(known_as(next) != known_as(path));
  CHECK(initial(next) == "-1");
}

TEST_CASE_METHOD(numbered, "a receipt that overtakes another is not believed") {
  stand(1);
  produce("1");
  produce("2");
  const auto first = sent();
  broker_says(1, {ok1});
  CHECK(answers.empty());
  CHECK(take<reset_connection>());
  connect(2);
  CHECK(sent() == first);
}

// -- where it is found -----------------------------------------------------------

TEST_CASE_METHOD(test::actor_fixture, "what is known of a producer names its acknowledger for as long as it lives") {
  const role_keys keys{role::producer, {.topic = "x"}, {}};
  const producer_options o{.topic = keys.topic(), .send_timeout = 10s, .max_pending = 100};
  REQUIRE(tree->plan.add(pipelines{{o}, {}, {}}));
  const auto known = tree->plan.producing_to(keys.topic());
  REQUIRE(known);
  CHECK_FALSE(known->acknowledger());
  watch(spawn_producer_ack(tree, keys, std::make_shared<const producer_options>(o), nullptr, me()));
  CHECK(known->acknowledger() == subject);
  SECTION("until it is killed") {
    send_exit(subject, caf::exit_reason::kill);
    run();
    CHECK_FALSE(known->acknowledger());
  }
  SECTION("or until there is another") {
    known->enter(me());
    send_exit(subject, caf::exit_reason::kill);
    run();
    CHECK(known->acknowledger() == me());
    known->leave(me().address());
  }
}

// -- actors that produce -----------------------------------------------------------

namespace {

struct narrow : test::actor_fixture {
  narrow() {
    const role_keys keys{role::producer, {.topic = "x"}, {}};
    producer_options o{.topic = keys.topic(), .send_timeout = 10s, .max_pending = 2};
    watch(spawn_producer_ack(tree, keys, std::make_shared<const producer_options>(o), nullptr, me()));
    post(subject, handshake_wanted{1, me()});
    REQUIRE(take<handshake>());
    post(subject, link_up{1, me(), link});
    run();
  }
  /// An actor that asks and notes what it is answered.
  struct caller {
    std::vector<std::string> said;
    caf::actor who;
    ~caller() { send_exit(who, caf::exit_reason::kill); } // the time-outs of its requests keep it
  };
  std::shared_ptr<caller> make_caller() {
    auto result = std::make_shared<caller>();
    result->who = system().spawn([to = subject, note = std::weak_ptr{result}](caf::event_based_actor* self) {
      const auto say = [note](const std::string& text) {
        if (const auto there = note.lock())
          there->said.push_back(text);
      };
      return behave(
        self, {},
        [=](publish& m) {
          request(self, to, 1h, std::move(m))
            .then([=](const message_id& id) { say(id.value); },
                  [=](const caf::error& e) { say(std::string{name_of(code_of(e))}); });
        },
        [=](wait_for_room m) {
          request(self, to, 1h, m)
            .then([=](room r) { say("room " + std::to_string(r.messages)); },
                  [=](const caf::error& e) { say(std::string{name_of(code_of(e))}); });
        });
    });
    return result;
  }
  void ask(const std::shared_ptr<caller>& c, auto question) {
    post(c->who, std::move(question));
    run();
  }
  void receipt(int sequence) {
    const auto n = std::to_string(sequence);
    post(subject, frames_in{1, {R"({"result":"ok","messageId":"id)" + n + R"(","context":")" + n + R"("})"}});
    run();
  }
  using said = std::vector<std::string>;
};

} // namespace

TEST_CASE_METHOD(narrow, "an actor is answered what became of its message, and refused when there is no room") {
  const auto a = make_caller();
  for (const auto* text : {"1", "2", "3"})
    ask(a, publish{{.payload = text}});
  CHECK(a->said == said{"queue full"});
  receipt(0);
  receipt(1);
  CHECK(a->said == said{"queue full", "id0", "id1"});
  ask(a, publish{{.payload = "4"}});
  receipt(2);
  CHECK(a->said.back() == "id2");
}

TEST_CASE_METHOD(narrow, "who has asked for room is not refused, and waits for it in turn") {
  const auto a = make_caller(), b = make_caller();
  ask(a, wait_for_room{5});
  CHECK(a->said == said{"room 2"}); // as much as there is
  ask(b, publish{{.payload = "no"}});
  CHECK(b->said == said{"queue full"});
  ask(b, wait_for_room{1});
  ask(a, publish{{.payload = "1"}});
  ask(a, publish{{.payload = "2"}});
  CHECK(a->said == said{"room 2"});
  CHECK(b->said == said{"queue full"});
  receipt(0);
  CHECK(b->said == said{"queue full", "room 1"});
  ask(b, publish{{.payload = "3"}});
  receipt(1);
  receipt(2);
  CHECK(a->said == said{"room 2", "id0", "id1"});
  CHECK(b->said == said{"queue full", "room 1", "id2"});
}

TEST_CASE_METHOD(narrow, "room that was kept for an actor is free when it ends") {
  const auto a = make_caller(), b = make_caller();
  ask(a, wait_for_room{2});
  ask(b, wait_for_room{2});
  CHECK(b->said.empty());
  send_exit(a->who, caf::exit_reason::kill);
  run();
  CHECK(b->said == said{"room 2"});
}

TEST_CASE_METHOD(narrow, "an actor is answered also when the acknowledger ends") {
  const auto a = make_caller(), b = make_caller();
  ask(a, publish{{.payload = "1"}});
  ask(a, publish{{.payload = "2"}});
  ask(b, wait_for_room{1});
  send_exit(subject, caf::exit_reason::kill);
  run();
  CHECK(a->said.size() == 2);
  CHECK(b->said == said{"stopping"});
  ask(a, publish{{.payload = "3"}});
  CHECK(a->said.size() == 3);
}

TEST_CASE_METHOD(narrow, "a list is answered when there is an answer for each") {
  auto pending =
    request(self().ptr(), subject, 1h, publish_all{{{.payload = "1"}, {.payload = "2"}, {.payload = "3"}}});
  run();
  receipt(1);
  receipt(0);
  std::move(pending).receive(
    [](published& p) {
      REQUIRE(p.answers.size() == 3);
      CHECK(p.answers[0]->value == "id0");
      CHECK(p.answers[1]->value == "id1");
      CHECK(code_of(p.answers[2].error()) == errc::queue_full);
    },
    [](caf::error& e) { FAIL(describe(e)); });
}

TEST_CASE_METHOD(narrow, "an empty list is answered at once") {
  CHECK(answer_of<published>(subject, publish_all{})->answers.empty());
}
