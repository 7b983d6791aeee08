#include "cli/common.hpp"

#include <iostream>

namespace stargate::cli {

namespace {

int print(const caf::error& why) {
  return why ? fail(why) : done;
}

int print(const caf::expected<std::string>& text) {
  if (!text)
    return fail(text.error());
  std::cout << *text << (text->ends_with('\n') ? "" : "\n");
  return done;
}

int print(const caf::expected<std::vector<std::string>>& list) {
  if (!list)
    return fail(list.error());
  for (const auto& line : *list)
    std::cout << line << '\n';
  return done;
}

int print(const caf::expected<std::optional<bool>>& answer) {
  if (!answer)
    return fail(answer.error());
  std::cout << (!*answer ? "not set" : **answer ? "true" : "false") << '\n';
  return done;
}

/// What the verbs take; each uses some of it.
struct arguments {
  std::string name;
  std::string topic;
  std::string subscription;
  std::string role;
  std::vector<std::string> actions;
  std::uint32_t partitions = 0;
  std::uint64_t messages = 0;
  bool force = false;
  bool all = false;
  std::string position = "latest";
  std::string id;
  std::chrono::milliseconds back{0};
  std::string on;
};

topic_name topic_of(const arguments& a) {
  auto topic = parse_topic(a.topic);
  if (!topic)
    throw CLI::ValidationError{"TOPIC", describe(topic.error())};
  return std::move(*topic);
}

/// One verb: its name, its help, what it takes, and what it does.
class verbs {
public:
  verbs(CLI::App& group, const global_options& g, std::function<int()>& run) : group_{group}, global_{g}, run_{run} {}

  CLI::App* add(const char* name, const char* help, std::function<int(const admin&, const arguments&)> act,
                const std::function<void(CLI::App&, arguments&)>& takes = {}) {
    auto* sub = group_.add_subcommand(name, help);
    auto a = std::make_shared<arguments>();
    if (takes)
      takes(*sub, *a);
    sub->callback([this_run = &run_, g = &global_, a, act = std::move(act)] {
      if (!a->topic.empty())
        static_cast<void>(topic_of(*a)); // wrong usage is told before anything is asked
      *this_run = [g, a, act] {
        return act(admin{g->tree, std::max(g->connect_timeout, std::chrono::milliseconds{1'000}) * 3}, *a);
      };
    });
    return sub;
  }

private:
  CLI::App& group_;
  const global_options& global_;
  std::function<int()>& run_;
};

void takes_topic(CLI::App& sub, arguments& a) {
  sub.add_option("TOPIC", a.topic, "The topic")->required();
}
void takes_subscription(CLI::App& sub, arguments& a) {
  takes_topic(sub, a);
  sub.add_option("-s,--subscription", a.subscription, "The subscription")->required();
}
void takes_namespace(CLI::App& sub, arguments& a) {
  sub.add_option("NAMESPACE", a.name, "tenant/namespace")->required();
}
void takes_tenant(CLI::App& sub, arguments& a) {
  sub.add_option("TENANT", a.name, "The tenant")->required();
}

} // namespace

void add_admin(CLI::App& app, const global_options& g, std::function<int()>& run) {
  auto* top = app.add_subcommand("admin", "Administer the broker over REST");
  top->require_subcommand(1);
  const auto group = [&](const char* name, const char* help) {
    auto* sub = top->add_subcommand(name, help);
    sub->require_subcommand(1);
    return verbs{*sub, g, run};
  };
  using a = arguments;
  verbs{*top, g, run}.add("health", "Say ok when the broker is healthy", [](const admin& to, const a&) {
    const auto why = to.health();
    return why ? fail(why) : print(caf::expected<std::string>{"ok"});
  });
  verbs{*top, g, run}.add("clusters", "List the clusters",
                          [](const admin& to, const a&) { return print(to.clusters()); });

  auto tenants = group("tenants", "Tenants");
  tenants.add("list", "List the tenants", [](const admin& to, const a&) { return print(to.tenants()); });
  tenants.add(
    "create", "Create a tenant on all clusters",
    [](const admin& to, const a& x) { return print(to.create_tenant(x.name)); }, takes_tenant);
  tenants.add(
    "delete", "Delete a tenant", [](const admin& to, const a& x) { return print(to.delete_tenant(x.name)); },
    takes_tenant);

  auto namespaces = group("namespaces", "Namespaces and what is set for them");
  namespaces.add(
    "list", "List a tenant's namespaces", [](const admin& to, const a& x) { return print(to.namespaces(x.name)); },
    takes_tenant);
  namespaces.add(
    "create", "Create a namespace", [](const admin& to, const a& x) { return print(to.create_namespace(x.name)); },
    takes_namespace);
  namespaces.add(
    "delete", "Delete a namespace", [](const admin& to, const a& x) { return print(to.delete_namespace(x.name)); },
    takes_namespace);
  namespaces.add(
    "deduplication", "Show or set whether the broker drops what is produced twice",
    [](const admin& to, const a& x) {
      return x.on.empty() ? print(to.deduplication(x.name)) : print(to.set_deduplication(x.name, x.on == "true"));
    },
    [](CLI::App& sub, a& x) {
      takes_namespace(sub, x);
      sub.add_option("--set", x.on, "true or false")->check(CLI::IsMember{{"true", "false"}});
    });
  namespaces.add(
    "permissions", "Show who may do what", [](const admin& to, const a& x) { return print(to.permissions(x.name)); },
    takes_namespace);
  namespaces.add(
    "grant", "Let a role do things",
    [](const admin& to, const a& x) { return print(to.grant(x.name, x.role, x.actions)); },
    [](CLI::App& sub, a& x) {
      takes_namespace(sub, x);
      sub.add_option("--role", x.role, "The role")->required();
      sub.add_option("--actions", x.actions, "What it may do, such as produce,consume")->required()->delimiter(',');
    });
  namespaces.add(
    "revoke", "Take away what a role may do",
    [](const admin& to, const a& x) { return print(to.revoke(x.name, x.role)); },
    [](CLI::App& sub, a& x) {
      takes_namespace(sub, x);
      sub.add_option("--role", x.role, "The role")->required();
    });

  auto topics = group("topics", "Topics");
  topics.add(
    "list", "List a namespace's topics", [](const admin& to, const a& x) { return print(to.topics(x.name)); },
    takes_namespace);
  topics.add(
    "create", "Create a topic",
    [](const admin& to, const a& x) {
      return print(x.partitions > 0 ? to.create_partitioned_topic(topic_of(x), x.partitions)
                                    : to.create_topic(topic_of(x)));
    },
    [](CLI::App& sub, a& x) {
      takes_topic(sub, x);
      sub.add_option("--partitions", x.partitions, "In so many partitions; 0 is not partitioned");
    });
  topics.add(
    "delete", "Delete a topic",
    [](const admin& to, const a& x) { return print(to.delete_topic(topic_of(x), x.force)); },
    [](CLI::App& sub, a& x) {
      takes_topic(sub, x);
      sub.add_flag("-f,--force", x.force, "Also when it has subscriptions or clients");
    });
  topics.add(
    "stats", "Show what happens on a topic, as JSON",
    [](const admin& to, const a& x) { return print(to.stats(topic_of(x))); }, takes_topic);
  topics.add(
    "terminate", "Let a topic take no more messages, for ever",
    [](const admin& to, const a& x) { return print(to.terminate(topic_of(x))); }, takes_topic);

  auto subscriptions = group("subscriptions", "Subscriptions");
  subscriptions.add(
    "list", "List a topic's subscriptions",
    [](const admin& to, const a& x) { return print(to.subscriptions(topic_of(x))); }, takes_topic);
  subscriptions.add(
    "create", "Create a subscription",
    [](const admin& to, const a& x) {
      return print(to.create_subscription(
        topic_of(x), x.subscription, x.position == "earliest" ? initial_position::earliest : initial_position::latest));
    },
    [](CLI::App& sub, a& x) {
      takes_subscription(sub, x);
      sub.add_option("--position", x.position, "Where it begins")
        ->check(CLI::IsMember{{"latest", "earliest"}})
        ->capture_default_str();
    });
  subscriptions.add(
    "delete", "Delete a subscription",
    [](const admin& to, const a& x) { return print(to.delete_subscription(topic_of(x), x.subscription, x.force)); },
    [](CLI::App& sub, a& x) {
      takes_subscription(sub, x);
      sub.add_flag("-f,--force", x.force, "Also when it has consumers");
    });
  subscriptions.add(
    "skip", "Skip messages",
    [](const admin& to, const a& x) {
      return print(x.all ? to.skip_all(topic_of(x), x.subscription) : to.skip(topic_of(x), x.subscription, x.messages));
    },
    [](CLI::App& sub, a& x) {
      takes_subscription(sub, x);
      auto* which = sub.add_option_group("which")->require_option(1);
      which->add_option("-n,--messages", x.messages, "How many");
      which->add_flag("--all", x.all, "All that there are");
    });
  subscriptions.add(
    "reset", "Deliver again from a time or a message on",
    [](const admin& to, const a& x) {
      if (!x.id.empty())
        return print(to.reset(topic_of(x), x.subscription, message_id{x.id}));
      return print(to.reset(topic_of(x), x.subscription, std::chrono::system_clock::now() - x.back));
    },
    [](CLI::App& sub, a& x) {
      takes_subscription(sub, x);
      auto* where = sub.add_option_group("where")->require_option(1);
      where->add_option("--id", x.id, "From this message on");
      add_duration(*where, "-t,--time", x.back, "From so long ago on: 1h", std::chrono::milliseconds{0});
    });
}

} // namespace stargate::cli
