#include "libstargate/protocol/frame_text.hpp"

#include "libstargate/protocol/base64.hpp"

namespace stargate::protocol {

std::size_t frame_text::size() const {
  return around_.size() + base64_size(payload_.view().size());
}

void frame_text::write(char* to) const {
  const auto payload = payload_.view();
  to += around_.copy(to, before_);
  if (!payload.empty()) {
    write_base64(to, payload); // and a character more, over which the rest comes
    to += base64_size(payload.size());
  }
  around_.copy(to, around_.size() - before_, before_);
}

std::string frame_text::str() const {
  std::string result(size(), '\0');
  write(result.data());
  return result;
}

} // namespace stargate::protocol
