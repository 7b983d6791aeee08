#include "simulation/books.hpp"

#include "libstargate/protocol/base64.hpp"

#include <algorithm>

namespace stargate::simulation {

std::string books::publish(const std::string& topic, bool once, std::size_t lane) {
  ++published;
  auto identity = topic.substr(topic.rfind('/') + 1) + "-" + std::to_string(published);
  publications_[identity] = {topic, once, lane, published};
  open_.insert(identity);
  return identity;
}

std::string books::publish_made_of(const std::string& where, const std::string& of, const std::string& topic,
                                   bool once) {
  auto identity = publish(topic, once, 0);
  open_.erase(identity);
  publications_.at(identity).code = errc::outcome_unknown;
  words_[where][of].made_of_it.push_back(identity);
  return identity;
}

void books::on_answer(const std::string& identity, const caf::expected<message_id>& answer, const topic_model& log) {
  auto& p = publications_.at(identity);
  if (++p.answers > 1)
    return violate_("answered twice: " + identity);
  open_.erase(identity);
  p.stored = static_cast<bool>(answer);
  p.code = answer ? errc::none : code_of(answer.error());
  stored += p.stored ? 1 : 0;
  unknown += p.code == errc::outcome_unknown ? 1 : 0;
  if (!answer && p.code == errc::none)
    return violate_("answered with an error that is none of ours: " + identity);
  if (!p.stored)
    return;
  const auto is_it = [&](const stored_message& m) { return m.identity == identity; };
  std::string id;
  if (!protocol::decode_base64(answer->value, id))
    return violate_("answered with an id that is none: " + answer->value);
  if (id == "(-1,-1)") { // the broker had it already
    if (std::none_of(log.log.begin(), log.log.end(), is_it))
      violate_("answered as stored, and it is not on the topic: " + identity);
    return;
  }
  const auto place = std::stoul(id.substr(id.find('|') + 1));
  if (id.substr(0, id.find('|')) != log.name || place >= log.log.size() || !is_it(log.log[place]))
    violate_("answered with the id of another message: " + identity);
}

void books::on_handled(const std::string& where, const std::string& identity) {
  ++handled;
  ++words_[where][identity].handled;
}

void books::on_done(const std::string& where, const std::string& identity) {
  words_[where][identity].done = true;
}

void books::on_kept(const std::string& where, const std::string& identity, std::uint64_t connection,
                    std::uint64_t place) {
  words_[where][identity].kept.emplace_back(connection, place);
}

void books::on_done_up_to(const std::string& where, std::uint64_t connection, std::uint64_t place) {
  auto& most = done_up_to_[{where, connection}];
  most = std::max(most, place);
}

void books::on_acknowledged(const std::string& where, const std::string& identity, const std::function<bool()>& buried,
                            const std::function<bool(const std::string&, const std::string&)>& is_stored) {
  const auto* found = find(where, identity);
  if (found != nullptr && found->done)
    return;
  if (found != nullptr)
    for (const auto& [connection, place] : found->kept)
      if (const auto up_to = done_up_to_.find({where, connection});
          up_to != done_up_to_.end() && place <= up_to->second)
        return;
  if (found != nullptr)
    for (const auto& made : found->made_of_it)
      if (is_stored(publications_.at(made).topic, made))
        return;
  if (buried()) {
    buried_.insert(identity);
    return;
  }
  violate_((found != nullptr && !found->made_of_it.empty() ? "acknowledged, and nothing that was made of it is stored: "
                                                           : "acknowledged before its handler said so: ")
           + identity + " of " + where);
}

const books::words* books::find(const std::string& where, const std::string& identity) const {
  const auto place = words_.find(where);
  if (place == words_.end())
    return nullptr;
  const auto found = place->second.find(identity);
  return found == place->second.end() ? nullptr : &found->second;
}

void books::for_each_done(const std::function<void(const std::string&, const std::string&)>& check) const {
  for (const auto& [where, messages] : words_)
    for (const auto& [identity, w] : messages)
      if (w.done)
        check(where, identity);
}

int books::times_handled(const std::string& where, const std::string& identity) const {
  const auto* found = find(where, identity);
  return found == nullptr ? 0 : found->handled;
}

std::string books::unanswered() const {
  return open_.empty() ? std::string{} : *open_.begin();
}

void books::judge(const std::map<std::string, topic_model>& topics, const std::set<std::string>& unordered) const {
  std::map<std::string, std::size_t> times;
  for (const auto& [name, topic] : topics) {
    std::map<std::size_t, std::pair<std::size_t, std::string>> last; // by lane
    std::set<std::string> seen;
    for (const auto& m : topic.log) {
      const auto found = publications_.find(m.identity);
      if (found == publications_.end() || found->second.topic != name)
        continue; // a dead letter
      const auto& p = found->second;
      if (++times[m.identity] > 1 && p.once)
        return violate_("stored twice, though effectively once: " + m.identity);
      if (!p.stored && p.code != errc::outcome_unknown)
        return violate_("answered '" + std::string{name_of(p.code)} + "', and it is on the topic: " + m.identity);
      if (!p.stored || !seen.insert(m.identity).second)
        continue;
      auto& before = last[p.lane];
      if (p.number < before.first && !unordered.contains(name))
        return violate_("out of order on " + name + ": " + m.identity + " behind " + before.second);
      before = {p.number, m.identity};
    }
  }
  for (const auto& [identity, p] : publications_)
    if (p.stored && times[identity] == 0)
      return violate_("answered as stored, and it is not on the topic in the end: " + identity);
}

} // namespace stargate::simulation
