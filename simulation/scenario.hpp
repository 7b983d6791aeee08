/// @file
/// What a seed means: a tree, what its users do, and what goes wrong, when. Pure: nothing runs here.
#pragma once

#include "simulation/network.hpp"

#include <stargate/options.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stargate::simulation {

/// One producer, consumer or reader, with what was drawn for it.
struct pipeline_plan {
  enum { producer, consumer, reader } role = producer;
  producer_options p;
  consumer_options c;
  reader_options r;
  bool to_actor = false;          ///< Of a consumer or reader: its messages are delivered to an actor.
  bool forwards = false;          ///< Of a consumer: it answers each message by `produce_and_ack`.
  bool from_the_start = true;     ///< Otherwise it is added and removed while the tree runs.
  std::vector<std::string> drawn; ///< `option=value`, for the table of what was covered.

  [[nodiscard]] std::string name() const;
  /// Of a consumer: its topics, or its pattern.
  [[nodiscard]] std::vector<std::string> topics() const;
};

enum class fault_kind : std::uint8_t {
  // the network
  cut,
  half_open,
  stall,
  duplicate_frame,
  spoil_frame_down,
  spoil_frame_up,
  // the broker
  close_frame,
  forget,
  crash,
  host_down,
  refuse_handshakes,
  silent_handshakes,
  error_receipts,
  nameless_errors,
  // actors
  kill,
  ask_to_end,
  throwing,
};
inline constexpr std::array<std::string_view, 17> fault_names{"cut",
                                                              "half-open",
                                                              "stall",
                                                              "duplicated frame",
                                                              "spoilt frame, down",
                                                              "spoilt frame, up",
                                                              "closed by the broker",
                                                              "forgotten by the broker",
                                                              "broker crash",
                                                              "one host down",
                                                              "handshakes refused",
                                                              "handshakes unanswered",
                                                              "error receipts",
                                                              "errors without a context",
                                                              "kill",
                                                              "polite exit",
                                                              "throw"};

/// Whom a fault of an actor hits.
enum class victim : std::uint8_t {
  producer,
  producer_ack,
  producer_sup,
  consumer,
  dispatcher,
  processor,
  consumer_ack,
  consumer_sup,
  reader,
  reader_dispatcher,
  reader_processor,
  reader_ack,
  reader_sup,
  instance_sup,
  topics,
  registry,
  reconciler,
  top,
  presence,
};
/// Those that are drawn. `top` is drawn apart, and `presence` is hit in every second place of `reconciler`.
inline constexpr std::uint64_t drawn_victims = 17;
inline constexpr std::array<std::string_view, 19> victim_names{"producer",
                                                               "producer_ack",
                                                               "producer_sup",
                                                               "consumer",
                                                               "dispatcher",
                                                               "processor",
                                                               "consumer_ack",
                                                               "consumer_sup",
                                                               "reader",
                                                               "reader_dispatcher",
                                                               "reader_processor",
                                                               "reader_ack",
                                                               "reader_sup",
                                                               "pipelines_",
                                                               "topics_",
                                                               "reg_",
                                                               "plan_",
                                                               "sup_",
                                                               "presence_"};

struct fault {
  micros at = 0;
  fault_kind kind = fault_kind::cut;
  victim whom = victim::producer; ///< Of a fault of an actor.
  std::uint64_t which = 0;        ///< Of those that there are.
  micros lasts = 0;
};
[[nodiscard]] std::string to_string(const fault& f);

enum class deed_kind : std::uint8_t {
  publish,
  publish_list,
  publish_to_actor,
  publish_and_wait,
  publish_list_and_wait,
  publish_by_request,
  publish_list_by_request,
  publish_by_demand,
  settle_kept,
  add,
  remove,
  start_child,
  terminate_child,
  restart,
  drain,
  unsubscribe,
  ask_end_of_topic,
  wait_ready,
  inspect,
  stop_and_start,
  drop_handle,
};
inline constexpr std::array<std::string_view, 21> deed_names{"publish",
                                                             "publish list",
                                                             "publish to an actor",
                                                             "publish and wait",
                                                             "publish list and wait",
                                                             "publish by request",
                                                             "publish list by request",
                                                             "publish by demand",
                                                             "settle what was kept",
                                                             "add",
                                                             "remove",
                                                             "start_child",
                                                             "terminate_child",
                                                             "restart",
                                                             "drain for a while",
                                                             "unsubscribe",
                                                             "is_end_of_topic",
                                                             "wait_ready",
                                                             "inspect",
                                                             "stop and start",
                                                             "drop the handle"};

struct deed {
  micros at = 0;
  deed_kind kind = deed_kind::publish;
  std::uint64_t which = 0;
  std::size_t count = 1;
};
[[nodiscard]] std::string to_string(const deed& d);

/// What handlers do, as chances.
struct manners {
  double throws = 0, refuses = 0, keeps = 0, keeps_and_settles_first = 0, slow = 0;
  micros slowness = 0;
  double hangs = 0; ///< Where there is a time-out, on a thread of their own: for many seconds.
};

struct scenario {
  /// The producer that consumers which forward produce to; null without any.
  [[nodiscard]] const producer_options* forwards_to() const;

  std::uint64_t seed = 0;
  options tree; ///< Without pipelines.
  std::vector<pipeline_plan> pipelines;
  std::vector<deed> deeds;
  std::vector<fault> faults;
  manners handlers;
  micros slowest = 20_ms;
  double lateness = 0.02;
  double yields = 0.02;     ///< How often something else happens although actors could go on.
  micros ends = 0;          ///< When faults are over, and everything has to come to rest.
  std::size_t listener = 0; ///< If not 0, somebody is told of the tree's events, with room for so many.
  std::size_t embedded =
    0; ///< If not 0, the tree runs once more below a supervisor, of which so many actors are struck.
};

/// @param messages about how many are published in all
[[nodiscard]] scenario make_scenario(std::uint64_t seed, std::size_t messages);

/// The scenario with fewer parts: those whose places stand in the lists are left out.
struct omissions {
  std::vector<std::size_t> faults, deeds, pipelines;
};
[[nodiscard]] scenario without(scenario s, const omissions& o);

} // namespace stargate::simulation
