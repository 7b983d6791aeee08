#include <stargate/message.hpp>

#include "actors/receiver/messages.hpp"

namespace stargate {

using namespace compat;

namespace {

void settle_from_outside(const received_message& m, disposition what) {
  if (m.origin)
    post(m.origin->acknowledger, internal::settle{m.origin->connection, {{m.sequence, m.id, what}}});
}

} // namespace

const topic_name& received_message::topic() const {
  static const topic_name none{.topic = {}};
  return origin && origin->topic ? *origin->topic : none;
}

void received_message::acknowledge() const {
  settle_from_outside(*this, disposition::ack);
}

void received_message::acknowledge_up_to() const {
  if (origin && !origin->many_topics)
    post(origin->acknowledger, internal::settle_up_to{origin->connection, sequence});
  else
    acknowledge();
}

void received_message::negative_acknowledge() const {
  settle_from_outside(*this, disposition::nack);
}

} // namespace stargate
