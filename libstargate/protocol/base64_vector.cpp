#include "libstargate/protocol/base64_vector.hpp"

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace stargate::protocol {

#ifdef __x86_64__

namespace {

const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;

constexpr std::size_t bytes_at_once = 24, characters_at_once = 32;

__attribute__((target("avx2"))) std::size_t encode(std::string_view bytes, char* to) {
  constexpr std::size_t looked_at = 28; // two loads of 16 bytes, 12 apart
  const auto in_order = _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10, 1, 0, 2, 1, 4, 3, 5, 4, 7,
                                         6, 8, 7, 10, 9, 11, 10);
  // What is added to a value of six bits: for a to z, 0 to 9, +, /, A to Z.
  const auto shifts = _mm256_setr_epi8(71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0, 71, -4, -4, -4,
                                       -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0);
  std::size_t at = 0;
  for (; at + looked_at <= bytes.size(); at += bytes_at_once, to += characters_at_once) {
    const auto* from = reinterpret_cast<const __m128i*>(bytes.data() + at);
    const auto* behind = reinterpret_cast<const __m128i*>(bytes.data() + at + bytes_at_once / 2);
    const auto groups = _mm256_shuffle_epi8(_mm256_set_m128i(_mm_loadu_si128(behind), _mm_loadu_si128(from)), in_order);
    const auto first_and_third =
      _mm256_mulhi_epu16(_mm256_and_si256(groups, _mm256_set1_epi32(0x0fc0fc00)), _mm256_set1_epi32(0x04000040));
    const auto second_and_fourth =
      _mm256_mullo_epi16(_mm256_and_si256(groups, _mm256_set1_epi32(0x003f03f0)), _mm256_set1_epi32(0x01000010));
    const auto sixes = _mm256_or_si256(first_and_third, second_and_fourth);
    const auto is_capital = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), sixes);
    const auto kind = _mm256_or_si256(_mm256_subs_epu8(sixes, _mm256_set1_epi8(51)),
                                      _mm256_and_si256(is_capital, _mm256_set1_epi8(13)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_add_epi8(_mm256_shuffle_epi8(shifts, kind), sixes));
  }
  return at;
}

__attribute__((target("avx2"))) std::size_t decode(std::string_view text, char* to) {
  constexpr std::size_t written_to = 44; // characters for whose bytes 32 are written
  // A character is of the alphabet when what its two halves say has no bit in common.
  const auto of_low =
    _mm256_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a,
                     0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a);
  const auto of_high =
    _mm256_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
                     0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
  const auto shifts = _mm256_setr_epi8(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 19, 4, -65, -65,
                                       -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
  const auto in_order = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1, 2, 1, 0, 6, 5, 4, 10,
                                         9, 8, 14, 13, 12, -1, -1, -1, -1);
  const auto slash = _mm256_set1_epi8(0x2f); // and what masks a half: one bit more is not looked at
  std::size_t at = 0;
  for (; at + written_to <= text.size(); at += characters_at_once, to += bytes_at_once) {
    const auto characters = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + at));
    const auto high = _mm256_and_si256(_mm256_srli_epi32(characters, 4), slash);
    const auto low = _mm256_and_si256(characters, slash);
    if (_mm256_testz_si256(_mm256_shuffle_epi8(of_low, low), _mm256_shuffle_epi8(of_high, high)) == 0)
      break;
    const auto kind = _mm256_add_epi8(_mm256_cmpeq_epi8(characters, slash), high);
    const auto sixes = _mm256_add_epi8(characters, _mm256_shuffle_epi8(shifts, kind));
    const auto twelves = _mm256_maddubs_epi16(sixes, _mm256_set1_epi32(0x01400140));
    const auto groups = _mm256_shuffle_epi8(_mm256_madd_epi16(twelves, _mm256_set1_epi32(0x00011000)), in_order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm256_permutevar8x32_epi32(groups, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7)));
  }
  return at;
}

} // namespace

std::size_t encode_bulk(std::string_view bytes, char* to) {
  return has_avx2 ? encode(bytes, to) : 0;
}

std::size_t decode_bulk(std::string_view text, char* to) {
  return has_avx2 ? decode(text, to) : 0;
}

#else

std::size_t encode_bulk(std::string_view, char*) {
  return 0;
}

std::size_t decode_bulk(std::string_view, char*) {
  return 0;
}

#endif

} // namespace stargate::protocol
