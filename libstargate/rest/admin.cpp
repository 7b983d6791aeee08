#include <stargate/admin.hpp>

#include "libstargate/protocol/json.hpp"
#include "libstargate/protocol/message_id.hpp"
#include "libstargate/protocol/option_values.hpp"
#include "libstargate/protocol/percent.hpp"
#include "libstargate/rest/failure.hpp"

#include <curl/curl.h>

#include <mutex>
#include <utility>

namespace stargate {

namespace {

using protocol::percent_encode;

/// libcurl wants to be set up once in a process, before there are threads that use it.
void set_up_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

constexpr std::size_t most_body = 64u << 20;

std::size_t append(char* data, std::size_t, std::size_t size, void* to) {
  auto& body = *static_cast<std::string*>(to);
  if (body.size() + size > most_body)
    return 0;
  body.append(data, size);
  return size;
}

errc code_of_failure(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: return errc::unresolved_host;
    case CURLE_OPERATION_TIMEDOUT: return errc::timed_out;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE: return errc::untrusted;
    default: return errc::connection_failed;
  }
}

caf::error unexpected(const std::string& path) {
  return make_error(errc::protocol_violation, "the answer to " + path + " is not what Pulsar's REST API promises");
}

std::string quoted(const std::string& text) {
  std::string out;
  if (!protocol::json::append_string(out, text))
    out = "\"\"";
  return out;
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const auto& text : texts)
    out += (out.size() > 1 ? "," : "") + quoted(text);
  return out + "]";
}

/// `tenant/name`, each part encoded.
std::string encoded_namespace(const std::string& ns) {
  const auto slash = ns.find('/');
  return slash == std::string::npos ? percent_encode(ns)
                                    : percent_encode(ns.substr(0, slash)) + "/" + percent_encode(ns.substr(slash + 1));
}

std::string path_of(const topic_name& topic) {
  return std::string{name_of(topic.persistence)} + "/" + percent_encode(topic.tenant) + "/" + percent_encode(topic.ns)
         + "/" + percent_encode(topic.topic);
}

std::string path_of(const topic_name& topic, const std::string& subscription) {
  return path_of(topic) + "/subscription/" + percent_encode(subscription);
}

/// Looks into `{"subscriptions":{"name":{"consumers":[{"consumerName":"…"}]}}}`.
bool has_consumer_in(const rapidjson::Value& stats, const std::string& consumer_name) {
  if (!stats.IsObject())
    return false;
  const auto subscriptions = stats.FindMember("subscriptions");
  if (subscriptions == stats.MemberEnd() || !subscriptions->value.IsObject())
    return false;
  for (const auto& [name, subscription] : subscriptions->value.GetObject()) {
    if (!subscription.IsObject())
      continue;
    const auto consumers = subscription.FindMember("consumers");
    if (consumers == subscription.MemberEnd() || !consumers->value.IsArray())
      continue;
    for (const auto& consumer : consumers->value.GetArray())
      if (const auto* found = consumer.IsObject() ? protocol::json::find_string(consumer, "consumerName") : nullptr;
          found != nullptr && protocol::json::view(*found) == consumer_name)
        return true;
  }
  return false;
}

caf::error error_in(const caf::expected<std::string>& answer) {
  return answer ? caf::error{} : answer.error();
}

} // namespace

struct admin::connection {
  std::vector<host> hosts;
  std::string base_path;
  url_scheme scheme;
  tls_options tls;
  token_source token;
  std::chrono::milliseconds timeout{0};
  sender send; ///< Instead of all that.

  std::mutex mutex;
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle{nullptr, curl_easy_cleanup}; // guarded by mutex
  std::size_t current = 0; ///< The host that answered last; guarded by mutex.

  caf::expected<std::string> request(const std::string& method, const std::string& path, const std::string& json) {
    const std::lock_guard guard{mutex};
    if (send)
      return send(method, path, json);
    caf::error last;
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      auto answer = request_at(hosts[current % hosts.size()], method, path, json);
      if (answer)
        return answer;
      last = answer.error();
      const auto code = code_of(last);
      if (code != errc::connection_failed && code != errc::unresolved_host && code != errc::broker_unavailable)
        break;
      ++current;
    }
    return last;
  }

  caf::expected<std::string> request_at(const host& at, const std::string& method, const std::string& path,
                                        const std::string& json) {
    auto* c = handle.get();
    curl_easy_reset(c); // keeps the connection
    const auto place = protocol::text_of(at);
    const auto url = (scheme == url_scheme::wss ? "https://" : "http://") + place + base_path + "/admin/v2/" + path;
    std::string body;
    char detail[CURL_ERROR_SIZE] = {};
    curl_slist* headers = nullptr;
    const auto add = [&headers](const std::string& line) { headers = curl_slist_append(headers, line.c_str()); };
    if (token) {
      auto text = token();
      if (!text)
        return make_error(errc::no_token, place + ": " + compat::context_of(text.error()));
      add("Authorization: Bearer " + *text);
    }
    add("Content-Type: application/json");
    add("Expect:");
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method.c_str());
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);    // a broker sends on to the one that owns the namespace
    curl_easy_setopt(c, CURLOPT_UNRESTRICTED_AUTH, 1L); // … which wants the token as well, as Pulsar's own client does
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, scheme == url_scheme::wss ? "https" : "http");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, scheme == url_scheme::wss ? "https" : "http");
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (method != "GET" && method != "DELETE")
      curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, json.c_str());
    if (tls.dangerously_trust_any_certificate) {
      curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
      curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (!tls.ca_file.empty())
      curl_easy_setopt(c, CURLOPT_CAINFO, tls.ca_file.c_str());
    if (!tls.certificate_file.empty()) {
      curl_easy_setopt(c, CURLOPT_SSLCERT, tls.certificate_file.c_str());
      curl_easy_setopt(c, CURLOPT_SSLKEY, tls.key_file.c_str());
    }
    const auto outcome = curl_easy_perform(c);
    curl_slist_free_all(headers);
    const auto what = method + " " + path + " at " + place;
    if (outcome != CURLE_OK)
      return make_error(code_of_failure(outcome), what + ": " + (*detail != 0 ? detail : curl_easy_strerror(outcome)));
    long status = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299)
      return rest::failure(what, static_cast<int>(status), body);
    return body;
  }

  caf::expected<std::vector<std::string>> list(const std::string& path) {
    const auto body = request("GET", path, {});
    if (!body)
      return body.error();
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(body->c_str(), body->size());
    if (document.HasParseError() || !document.IsArray())
      return unexpected(path);
    std::vector<std::string> result;
    for (const auto& element : document.GetArray()) {
      if (!element.IsString())
        return unexpected(path);
      result.emplace_back(protocol::json::view(element));
    }
    return result;
  }
};

admin::admin(const options& o, std::chrono::milliseconds timeout) : connection_{std::make_unique<connection>()} {
  set_up_curl();
  connection_->hosts = o.hosts;
  connection_->base_path = o.base_path;
  connection_->scheme = o.scheme;
  connection_->tls = o.tls;
  connection_->token = o.token;
  connection_->timeout = timeout;
  connection_->handle.reset(curl_easy_init());
}
admin::admin(sender send) : connection_{std::make_unique<connection>()} {
  connection_->send = std::move(send);
}
admin::~admin() = default;
admin::admin(admin&&) noexcept = default;
admin& admin::operator=(admin&&) noexcept = default;

caf::expected<std::string> admin::request(std::string_view method, const std::string& path,
                                          const std::string& json) const {
  return connection_->request(std::string{method}, path, json);
}

caf::error admin::health() const {
  constexpr auto path = "brokers/health";
  const auto answer = request("GET", path);
  return answer && *answer != "ok" ? unexpected(path) : error_in(answer);
}

caf::expected<std::string> admin::version() const {
  constexpr auto path = "brokers/version";
  auto answer = request("GET", path);
  if (!answer)
    return answer;
  std::erase_if(*answer, [](unsigned char c) { return c <= ' ' || c == '"'; });
  constexpr std::size_t most = 64;
  if (answer->empty() || answer->size() > most || answer->find_first_not_of("0123456789") == 0)
    return unexpected(path);
  return answer;
}

// -- tenants and namespaces -----------------------------------------------------

caf::expected<std::vector<std::string>> admin::clusters() const {
  return connection_->list("clusters");
}
caf::expected<std::vector<std::string>> admin::tenants() const {
  return connection_->list("tenants");
}
caf::error admin::create_tenant(const std::string& tenant) const {
  const auto all = clusters();
  if (!all)
    return all.error();
  return error_in(request("PUT", "tenants/" + percent_encode(tenant),
                          R"({"adminRoles":[],"allowedClusters":)" + list_of(*all) + "}"));
}
caf::error admin::delete_tenant(const std::string& tenant) const {
  return error_in(request("DELETE", "tenants/" + percent_encode(tenant)));
}
caf::expected<std::vector<std::string>> admin::namespaces(const std::string& tenant) const {
  return connection_->list("namespaces/" + percent_encode(tenant));
}
caf::error admin::create_namespace(const std::string& ns) const {
  return error_in(request("PUT", "namespaces/" + encoded_namespace(ns)));
}
caf::error admin::delete_namespace(const std::string& ns) const {
  return error_in(request("DELETE", "namespaces/" + encoded_namespace(ns)));
}
caf::error admin::set_deduplication(const std::string& ns, bool on) const {
  return error_in(request("POST", "namespaces/" + encoded_namespace(ns) + "/deduplication", on ? "true" : "false"));
}
caf::expected<std::optional<bool>> admin::deduplication(const std::string& ns) const {
  const auto path = "namespaces/" + encoded_namespace(ns) + "/deduplication";
  const auto answer = request("GET", path);
  if (!answer)
    return answer.error();
  if (answer->empty() || *answer == "null")
    return std::optional<bool>{};
  if (*answer != "true" && *answer != "false")
    return unexpected(path);
  return std::optional{*answer == "true"};
}
caf::error admin::grant(const std::string& ns, const std::string& role, const std::vector<std::string>& actions) const {
  return error_in(
    request("POST", "namespaces/" + encoded_namespace(ns) + "/permissions/" + percent_encode(role), list_of(actions)));
}
caf::error admin::revoke(const std::string& ns, const std::string& role) const {
  return error_in(request("DELETE", "namespaces/" + encoded_namespace(ns) + "/permissions/" + percent_encode(role)));
}
caf::expected<std::string> admin::permissions(const std::string& ns) const {
  return request("GET", "namespaces/" + encoded_namespace(ns) + "/permissions");
}

// -- topics ---------------------------------------------------------------------

caf::expected<std::vector<std::string>> admin::topics(const std::string& ns, persistence p) const {
  return connection_->list(std::string{name_of(p)} + "/" + encoded_namespace(ns));
}
caf::error admin::create_topic(const topic_name& topic) const {
  return error_in(request("PUT", path_of(topic)));
}
caf::error admin::create_partitioned_topic(const topic_name& topic, std::uint32_t partitions) const {
  return error_in(request("PUT", path_of(topic) + "/partitions", std::to_string(partitions)));
}
caf::expected<std::uint32_t> admin::partitions(const topic_name& topic) const {
  const auto path = path_of(topic) + "/partitions";
  const auto answer = request("GET", path);
  if (!answer)
    return answer.error();
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(answer->c_str(), answer->size());
  if (document.HasParseError() || !document.IsObject())
    return unexpected(path);
  const auto count = document.FindMember("partitions");
  if (count == document.MemberEnd() || !count->value.IsUint())
    return unexpected(path);
  return count->value.GetUint();
}
caf::error admin::delete_topic(const topic_name& topic, bool force) const {
  const auto count = partitions(topic);
  if (!count)
    return count.error();
  return error_in(request("DELETE", path_of(topic) + (*count > 0 ? "/partitions" : "") + (force ? "?force=true" : "")));
}
caf::expected<std::string> admin::stats(const topic_name& topic) const {
  const auto count = partitions(topic);
  if (!count)
    return count.error();
  return request("GET", path_of(topic) + (*count > 0 ? "/partitioned-stats" : "/stats"));
}
caf::expected<bool> admin::has_consumer(const topic_name& topic, const std::string& consumer_name) const {
  auto path = path_of(topic) + "/stats";
  auto body = request("GET", path);
  std::uint32_t count = 0;
  if (!body && code_of(body.error()) == errc::not_found) { // nor has a partitioned topic any of these
    const auto parts = partitions(topic);
    if (!parts || *parts == 0)
      return parts ? body.error() : parts.error();
    count = *parts;
    path = path_of(topic) + "/partitioned-stats?perPartition=true";
    body = request("GET", path);
  }
  if (!body)
    return body.error();
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(body->c_str(), body->size());
  if (document.HasParseError() || !document.IsObject())
    return unexpected(path);
  if (count == 0)
    return has_consumer_in(document, consumer_name);
  const auto of = document.FindMember("partitions");
  if (of == document.MemberEnd() || !of->value.IsObject())
    return unexpected(path);
  std::uint32_t with = 0;
  for (const auto& [name, stats] : of->value.GetObject())
    with += has_consumer_in(stats, consumer_name) ? 1 : 0;
  return with >= count;
}
caf::error admin::terminate(const topic_name& topic) const {
  const auto count = partitions(topic);
  if (!count)
    return count.error();
  return error_in(request("POST", path_of(topic) + "/terminate" + (*count > 0 ? "/partitions" : "")));
}

// -- subscriptions --------------------------------------------------------------

caf::expected<std::vector<std::string>> admin::subscriptions(const topic_name& topic) const {
  return connection_->list(path_of(topic) + "/subscriptions");
}
caf::error admin::create_subscription(const topic_name& topic, const std::string& subscription,
                                      initial_position at) const {
  return error_in(
    request("PUT", path_of(topic, subscription), at == initial_position::earliest ? R"("earliest")" : R"("latest")"));
}
caf::error admin::delete_subscription(const topic_name& topic, const std::string& subscription, bool force) const {
  return error_in(request("DELETE", path_of(topic, subscription) + (force ? "?force=true" : "")));
}
caf::error admin::skip(const topic_name& topic, const std::string& subscription, std::uint64_t messages) const {
  return error_in(request("POST", path_of(topic, subscription) + "/skip/" + std::to_string(messages)));
}
caf::error admin::skip_all(const topic_name& topic, const std::string& subscription) const {
  return error_in(request("POST", path_of(topic, subscription) + "/skip_all"));
}
caf::error admin::reset(const topic_name& topic, const std::string& subscription,
                        std::chrono::system_clock::time_point to) const {
  const auto time = std::chrono::floor<std::chrono::milliseconds>(to.time_since_epoch()).count();
  return error_in(request("POST", path_of(topic, subscription) + "/resetcursor/" + std::to_string(time)));
}
caf::error admin::reset(const topic_name& topic, const std::string& subscription, const message_id& to) const {
  const auto position = protocol::parse_message_id(to);
  if (!position)
    return make_error(errc::invalid_message, "'" + to.value + "' is not the id of a message");
  auto of_partition = topic;
  if (position->partition >= 0 && topic.topic.find("-partition-") == std::string::npos)
    of_partition.topic += "-partition-" + std::to_string(position->partition);
  return error_in(request("POST", path_of(of_partition, subscription) + "/resetcursor",
                          R"({"ledgerId":)" + std::to_string(position->ledger) + R"(,"entryId":)"
                            + std::to_string(position->entry) + R"(,"partitionIndex":)"
                            + std::to_string(position->partition) + "}"));
}

} // namespace stargate
