/// @file
/// Hands Stargate's spans to OpenTelemetry's C++ API, where a program has it: `o.spans = std::make_shared<otel_spans>();`
/// Not built by the tests, since Debian 12 has no package of opentelemetry-cpp. Tried by hand with the sources of its 1.29: a message's span
/// and that of its handler are in one trace, the second below the first.
#pragma once

#include <stargate/stargate.hpp>

#include <opentelemetry/context/propagation/global_propagator.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>
#include <opentelemetry/trace/provider.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

class otel_spans final : public stargate::span_hook {
public:
  stargate::span begin(stargate::span_kind kind, const stargate::topic_name& topic,
                       const std::optional<stargate::trace_context>& parent) override {
    namespace trace = opentelemetry::trace;
    trace::StartSpanOptions how;
    how.kind = kind == stargate::span_kind::producer ? trace::SpanKind::kProducer : trace::SpanKind::kConsumer;
    if (parent) {
      carrier from;
      from.values["traceparent"] = stargate::to_traceparent(*parent);
      from.values["tracestate"] = parent->state;
      auto nothing = opentelemetry::context::Context{};
      how.parent = propagator_.Extract(from, nothing);
    }
    const auto name = to_string(topic);
    auto made = trace::Provider::GetTracerProvider()
                  ->GetTracer("stargate")
                  ->StartSpan((kind == stargate::span_kind::producer ? "publish " : "process ") + topic.topic,
                              {{"messaging.system", "pulsar"}, {"messaging.destination.name", name}}, how);
    carrier to;
    auto here = opentelemetry::context::Context{};
    propagator_.Inject(to, trace::SetSpan(here, made));
    auto context = stargate::parse_traceparent(to.values["traceparent"]).value_or(stargate::trace_context{});
    context.state = to.values["tracestate"];
    return {std::move(context), std::make_shared<decltype(made)>(std::move(made))};
  }

  void end(const stargate::span& which, const caf::error& failure) override {
    auto& made = *std::static_pointer_cast<opentelemetry::nostd::shared_ptr<opentelemetry::trace::Span>>(which.own);
    if (failure)
      made->SetStatus(opentelemetry::trace::StatusCode::kError, stargate::describe(failure));
    made->End();
  }

private:
  struct carrier : opentelemetry::context::propagation::TextMapCarrier {
    std::map<std::string, std::string> values;
    opentelemetry::nostd::string_view Get(opentelemetry::nostd::string_view key) const noexcept override {
      const auto found = values.find(std::string{key});
      return found == values.end() ? opentelemetry::nostd::string_view{} : found->second;
    }
    void Set(opentelemetry::nostd::string_view key, opentelemetry::nostd::string_view value) noexcept override {
      values[std::string{key}] = std::string{value};
    }
  };
  opentelemetry::trace::propagation::HttpTraceContext propagator_;
};
