#include "box/access.hpp"

#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/json.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <utility>

namespace stargate::box {

namespace {

/// base64 of URLs, without padding.
std::optional<std::string> from_base64url(std::string_view text) {
  std::string standard{text};
  std::replace(standard.begin(), standard.end(), '-', '+');
  std::replace(standard.begin(), standard.end(), '_', '/');
  standard.append((4 - standard.size() % 4) % 4, '=');
  std::string bytes;
  return protocol::decode_base64(standard, bytes) ? std::optional{bytes} : std::nullopt;
}

/// An object in one of a token's parts.
bool read_part(std::string_view part, rapidjson::Document& into) {
  const auto json = from_base64url(part);
  if (!json)
    return false;
  into.Parse<rapidjson::kParseIterativeFlag>(json->data(), json->size());
  return !into.HasParseError() && into.IsObject();
}

struct algorithm {
  std::string_view name;
  const EVP_MD* hash;
  std::size_t least_key;
};

std::string signature_of(std::string_view text, const std::string& key, const EVP_MD* hash) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int size = 0;
  if (HMAC(hash, key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
           text.size(), bytes.data(), &size)
      == nullptr)
    return {};
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

/// A time that is a number, or is not there; nothing when it is something else.
std::optional<double> time_in(const rapidjson::Document& claims, const char* name, double standard) {
  const auto found = claims.FindMember(name);
  if (found == claims.MemberEnd() || found->value.IsNull())
    return standard;
  return found->value.IsNumber() ? std::optional{found->value.GetDouble()} : std::nullopt;
}

} // namespace

std::optional<caller> caller_of(std::string_view token, const access_rules& rules, std::int64_t now) {
  const auto first = token.find('.');
  const auto last = token.rfind('.');
  rapidjson::Document head, claims;
  if (first == last || !read_part(token.substr(0, first), head) || !head.HasMember("alg") || !head["alg"].IsString())
    return std::nullopt;
  const algorithm all[] = {{"HS256", EVP_sha256(), 32}, {"HS384", EVP_sha384(), 48}, {"HS512", EVP_sha512(), 64}};
  const auto by = std::find_if(std::begin(all), std::end(all),
                               [name = protocol::json::view(head["alg"])](const auto& a) { return a.name == name; });
  if (by == std::end(all) || rules.token_secret_key.size() < by->least_key)
    return std::nullopt;
  const auto shown = from_base64url(token.substr(last + 1));
  const auto right = signature_of(token.substr(0, last), rules.token_secret_key, by->hash);
  if (!shown || right.empty() || shown->size() != right.size()
      || CRYPTO_memcmp(shown->data(), right.data(), right.size()) != 0)
    return std::nullopt;
  if (!read_part(token.substr(first + 1, last - first - 1), claims))
    return std::nullopt;
  const auto time = static_cast<double>(now);
  const auto expires = time_in(claims, "exp", time + 1);
  const auto begins = time_in(claims, "nbf", time);
  if (!expires || !begins || *expires <= time || *begins > time)
    return std::nullopt;
  const auto subject = claims.FindMember("sub");
  if (subject == claims.MemberEnd())
    return caller{};
  if (!subject->value.IsString())
    return std::nullopt;
  return caller{std::string{protocol::json::view(subject->value)}};
}

namespace {

/// A role within one tenant or namespace.
class rights {
public:
  rights(const caller& who, const catalogue& all, const access_rules& rules) : who_{who}, all_{all}, rules_{rules} {}

  [[nodiscard]] bool is_super_user() const { return who_.role && rules_.super_user_roles.contains(*who_.role); }
  [[nodiscard]] bool administers(const std::string& tenant) const {
    const auto found = all_.tenants.find(tenant);
    return is_super_user() || (who_.role && found != all_.tenants.end() && found->second.contains(*who_.role));
  }
  [[nodiscard]] bool has(std::string_view permission, const std::string& tenant, const std::string& ns) const {
    if (administers(tenant))
      return true;
    const auto policies = all_.namespaces.find(tenant + "/" + ns);
    if (!who_.role || policies == all_.namespaces.end())
      return false;
    const auto granted = policies->second.permissions.find(*who_.role);
    return granted != policies->second.permissions.end()
           && std::find(granted->second.begin(), granted->second.end(), permission) != granted->second.end();
  }

private:
  const caller& who_;
  const catalogue& all_;
  const access_rules& rules_;
};

/// What may be done by whom.
enum class needs { either, consume, tenant_administrator };

struct operation {
  std::string_view name;
  needs what;
};

/// Of a request for one topic. `rest` is its path behind the topic's name.
operation topic_operation(std::string_view method, const std::vector<std::string>& rest) {
  const auto& what = rest.front();
  if (what == "partitions")
    return {"LOOKUP", needs::either};
  if (what == "stats" || what == "partitioned-stats")
    return {"GET_STATS", needs::either};
  if (what == "subscriptions")
    return {"GET_SUBSCRIPTIONS", needs::consume};
  if (what == "subscription" && rest.size() == 2)
    return {method == "DELETE" ? "UNSUBSCRIBE" : "SUBSCRIBE", needs::consume};
  if (what == "subscription" && rest.size() > 2)
    return {rest[2] == "resetcursor" ? "RESET_CURSOR" : "SKIP", needs::consume};
  return {what == "terminate" ? "TERMINATE" : "UNLOAD", needs::tenant_administrator};
}

[[noreturn]] void refuse(int status, std::string reason) {
  throw refusal{status, reason};
}

std::string unauthorized(std::string_view check, std::string_view name) {
  return "Unauthorized to validate" + std::string{check} + " for operation [" + std::string{name} + "] on ";
}

void check_namespace(const rights& r, std::string_view method, const std::vector<std::string>& path) {
  const auto& tenant = path[1];
  const auto& ns = path[2];
  const auto where = "namespace [" + tenant + "/" + ns + "]";
  if (r.administers(tenant))
    return;
  const auto& what = path.size() > 3 ? path[3] : std::string{};
  if (what == "permissions")
    refuse(403, unauthorized("NamespaceOperation", method == "GET"      ? "GET_PERMISSION"
                                                   : method == "DELETE" ? "REVOKE_PERMISSION"
                                                                        : "GRANT_PERMISSION")
                  + where);
  const auto policy = what == "deduplication" ? "DEDUPLICATION" : what.empty() ? "ALL" : "AUTO_TOPIC_CREATION";
  refuse(403, unauthorized("NamespacePolicyOperation", method == "GET" ? "READ" : "WRITE") + where + " on policy ["
                + policy + "]");
}

void check_topic(const rights& r, std::string_view method, const std::vector<std::string>& path) {
  const auto& tenant = path[1];
  const auto& ns = path[2];
  if (r.administers(tenant))
    return;
  const auto where = "namespace [" + tenant + "/" + ns + "]";
  const bool has_either = r.has("produce", tenant, ns) || r.has("consume", tenant, ns);
  if (path.size() == 3 || (path.size() == 4 && path[3] == "partitioned")) {
    if (!has_either)
      refuse(403, unauthorized("NamespaceOperation", "GET_TOPICS") + where);
    return;
  }
  const auto topic = "topic [" + path[0] + "://" + tenant + "/" + ns + "/" + path[3] + "]";
  const bool is_partitions = path.size() == 5 && path[4] == "partitions";
  if (is_partitions && (method == "PUT" || method == "POST"))
    refuse(403, unauthorized("TopicPolicyOperation", "WRITE") + topic + " on policy [PARTITION]");
  if (path.size() == 4 || (is_partitions && method == "DELETE"))
    refuse(403, unauthorized("NamespaceOperation", method == "DELETE" ? "DELETE_TOPIC" : "CREATE_TOPIC") + where);
  const auto o = topic_operation(method, {path.begin() + 4, path.end()});
  if (o.what == needs::tenant_administrator || (o.what == needs::either && !has_either)
      || (o.what == needs::consume && !r.has("consume", tenant, ns)))
    refuse(401, unauthorized("TopicOperation", o.name) + topic);
}

} // namespace

bool may(const caller& who, action what, const std::string& topic, const catalogue& all, const access_rules& rules) {
  const auto place = parse_topic(topic);
  return place
         && rights{who, all, rules}.has(what == action::produce ? "produce" : "consume", place->tenant, place->ns);
}

void check_request(const caller& who, std::string_view method, const std::vector<std::string>& path,
                   const catalogue& all, const access_rules& rules) {
  const rights r{who, all, rules};
  const auto& what = path.front();
  if (r.is_super_user() || what == "clusters" || (what == "brokers" && path.back() == "version"))
    return;
  if (what == "namespaces" && path.size() > 3)
    return check_namespace(r, method, path);
  if (what == "namespaces" && path.size() > 1) {
    if (r.administers(path[1]))
      return;
    if (path.size() == 3 && method == "GET")
      return check_namespace(r, method, path);
    const auto* name = path.size() == 2     ? "LIST_NAMESPACES"
                       : method == "DELETE" ? "DELETE_NAMESPACE"
                                            : "CREATE_NAMESPACE";
    refuse(401, "Unauthorized to validateTenantOperation for originalPrincipal [null] and clientAppId ["
                  + who.role.value_or("null") + "] about operation [" + name + "] on tenant [" + path[1] + "]");
  }
  if ((what == "persistent" || what == "non-persistent") && path.size() > 2)
    return check_topic(r, method, path);
  refuse(401, "This operation requires super-user access");
}

} // namespace stargate::box
