// What each step of a message's way costs by itself. Google Benchmark's flags apply: --benchmark_filter=registry …
#include "actors/shared/metrics.hpp"
#include "libstargate/connection/masking.hpp"
#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/frames.hpp"
#include "supervisor/restart.hpp"

#include <stargate/stargate.hpp>

#include <benchmark/benchmark.h>

#include <list>

using namespace stargate;
using namespace stargate::compat;
using namespace std::chrono_literals;

namespace {

const std::string delivery =
  R"({"messageId":"CAwQADAA","payload":")" +
  [] {
    std::string text;
    protocol::append_base64(text, std::string(100, 'x'));
    return text;
  }()
  + R"(","properties":{"number":"12345"},"publishTime":"2026-01-31T12:00:00.123Z","redeliveryCount":0,"key":"key-7"})";
const std::string receipt =
  R"({"result":"ok","messageId":"CAwQADAA","context":"12345","errorCode":0,"schemaVersion":0})";

message sample(std::size_t size) {
  return {.payload = std::string(size, 'x'), .key = "key-7", .properties = {{"number", "12345"}}};
}

// -- counting, for the monitor

void count_produced(benchmark::State& state) { // all that is counted of one
  internal::pipeline_metrics m;
  auto took = 1'000us;
  for (auto _ : state) {
    m.produced.add();
    m.stored.add();
    m.receipts.add(took);
    took = took == 1'000us ? 3'000us : 1'000us;
  }
}
BENCHMARK(count_produced);

void count_consumed(benchmark::State& state) { // with the look at the clock that is there for it
  internal::pipeline_metrics m;
  for (auto _ : state) {
    m.acknowledged.add();
    m.handlers.add(std::chrono::steady_clock::now().time_since_epoch() % 5'000us);
  }
}
BENCHMARK(count_consumed);

// -- frames

void encode(benchmark::State& state) {
  const auto m = sample(static_cast<std::size_t>(state.range(0)));
  std::uint64_t sequence = 0;
  connection::byte_buffer out;
  for (auto _ : state) {
    out.clear();
    connection::append_masked_frame(out, *protocol::encode_message(m, ++sequence));
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(encode)->Arg(10)->Arg(100)->Arg(1'000)->Arg(100'000);

void decode_receipt(benchmark::State& state) {
  std::string frame;
  for (auto _ : state) {
    frame = receipt;
    benchmark::DoNotOptimize(protocol::decode_receipt(frame));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decode_receipt);

void decode_delivery(benchmark::State& state) {
  std::string frame;
  for (auto _ : state) {
    frame = delivery;
    benchmark::DoNotOptimize(protocol::decode_delivery(frame));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decode_delivery);

void encode_acknowledgement(benchmark::State& state) {
  const message_id id{"CAwQADAA"};
  for (auto _ : state)
    benchmark::DoNotOptimize(protocol::encode_acknowledgement(id));
}
BENCHMARK(encode_acknowledgement);

void base64_encode(benchmark::State& state) {
  const std::string bytes(static_cast<std::size_t>(state.range(0)), 'x');
  std::string out;
  for (auto _ : state) {
    out.clear();
    protocol::append_base64(out, bytes);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(base64_encode)->Arg(100)->Arg(100'000);

void base64_decode(benchmark::State& state) {
  std::string text, out;
  protocol::append_base64(text, std::string(static_cast<std::size_t>(state.range(0)), 'x'));
  for (auto _ : state)
    benchmark::DoNotOptimize(protocol::decode_base64(text, out));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(base64_decode)->Arg(100)->Arg(100'000);

// -- the registry, with so many names in it

struct system_fixture {
  struct sharing : caf::actor_system_config {
    sharing() { set_scheduler_sharing(*this); }
  };
  sharing config;
  caf::actor_system system{config};
};

caf::behavior idle(caf::event_based_actor*) {
  return {[](const std::string& text) { return text; }};
}

struct filled_registry : system_fixture {
  explicit filled_registry(std::int64_t count) {
    caf::scoped_actor self{system};
    for (std::int64_t i = 0; i < count; ++i)
      request(self.ptr(), r.actor(), 10s, register_name{name(i), holder})
        .receive([](const registered&) {}, [](const caf::error&) { std::abort(); });
  }
  ~filled_registry() {
    send_exit(holder, caf::exit_reason::kill);
    send_exit(r.actor(), caf::exit_reason::kill);
  }
  static std::string name(std::int64_t i) { return "producer/persistent/public/default/topic-" + std::to_string(i); }
  registry r = registry::spawn(system, "bench");
  caf::actor holder = system.spawn(idle);
};

void registry_look_up(benchmark::State& state) {
  filled_registry f{state.range(0)};
  const auto name = filled_registry::name(state.range(0) / 2);
  for (auto _ : state)
    benchmark::DoNotOptimize(f.r.whereis(name));
}
BENCHMARK(registry_look_up)->Arg(10)->Arg(1'000)->Arg(100'000);

void registry_round_trip(benchmark::State& state) {
  filled_registry f{state.range(0)};
  const auto name = filled_registry::name(state.range(0) / 2);
  caf::scoped_actor self{f.system};
  for (auto _ : state)
    request(self.ptr(), f.r.actor(), 10s, whereis_name{name})
      .receive([](const found& who) { benchmark::DoNotOptimize(who.who); }, [](const caf::error&) { std::abort(); });
}
BENCHMARK(registry_round_trip)->Arg(10)->Arg(1'000)->Arg(100'000)->UseRealTime();

// -- the supervisor

void restart_decision(benchmark::State& state) {
  std::list<int> children(static_cast<std::size_t>(state.range(0)));
  const auto failed = std::next(children.begin(), state.range(0) / 2);
  internal::restart_log log{1'000'000'000, 5s};
  const auto reason = make_error(errc::handler_failed, "x");
  std::chrono::steady_clock::time_point now;
  for (auto _ : state) {
    now += 1ms;
    benchmark::DoNotOptimize(internal::is_restarted(restart::transient, reason));
    benchmark::DoNotOptimize(internal::affected(strategy::one_for_one, children.begin(), failed, children.end()));
    benchmark::DoNotOptimize(log.add(now));
  }
}
BENCHMARK(restart_decision)->Arg(10)->Arg(1'000)->Arg(100'000);

/// A child among so many is killed; how long until its successor stands?
void restart_of_a_child(benchmark::State& state) {
  system_fixture f;
  caf::scoped_actor self{f.system};
  const auto me = caf::actor_cast<caf::actor>(self);
  supervisor_options o{.name = "bench", .intensity = 2'000'000'000};
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    child_spec spec;
    spec.id = std::to_string(i);
    const bool watched = i == state.range(0) / 2;
    spec.start = [me, watched](const start_context& c) -> caf::expected<caf::actor> {
      auto who = c.system.spawn(idle);
      if (watched)
        post(me, found{who});
      return who;
    };
    o.children.push_back(std::move(spec));
  }
  o.log = [](log_level, std::string_view, std::string_view) {};
  const auto sup = spawn_supervisor(f.system, std::move(o), me);
  caf::actor child;
  const auto next = [&] { self->receive([&](found& who) { child = std::move(who.who); }); };
  next();
  self->receive([](const child_started&) {}); // all of them stand
  for (auto _ : state) {
    send_exit(child, caf::exit_reason::kill);
    next();
  }
  self->monitor(sup);
  send_exit(sup, caf::exit_reason::user_shutdown);
  self->receive([](const caf::down_msg&) {});
}
BENCHMARK(restart_of_a_child)->Arg(10)->Arg(1'000)->Arg(100'000)->UseRealTime();

// -- hops between actors

void actor_hop(benchmark::State& state) {
  system_fixture f;
  caf::scoped_actor self{f.system};
  const auto echo = f.system.spawn(idle);
  const std::string text(100, 'x');
  for (auto _ : state)
    request(self.ptr(), echo, 10s, text).receive([](const std::string&) {}, [](const caf::error&) { std::abort(); });
  send_exit(echo, caf::exit_reason::kill);
}
BENCHMARK(actor_hop)->UseRealTime();

} // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 2;
  benchmark::RunSpecifiedBenchmarks();
}
