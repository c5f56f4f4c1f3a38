#include "src/payment/session.h"

#include <algorithm>

#include "src/base/bytes.h"
#include "src/base/text.h"

namespace paycurl {

Result<> take_numbers(const Receipt& receipt, Channel& channel) {
  const auto id = receipt.json.string_at("channelId");
  const auto accepted_text = receipt.json.string_at("acceptedCumulative");
  const auto spent_text = receipt.json.string_at("spent");
  const auto units = receipt.json.optional_integer_at("units");
  const auto accepted = accepted_text ? Amount::parse(*accepted_text) : std::nullopt;
  const auto spent = spent_text ? Amount::parse(*spent_text) : std::nullopt;
  const Error wrong{Kind::protocol, "the receipt's numbers are not those of our session"};
  if (!id || !accepted || !spent || !units || lower(*id) != channel.id) return wrong;
  if (*spent > *accepted || *accepted > channel.signed_amount) return wrong;
  channel.accepted = std::max(channel.accepted, *accepted);
  channel.spent = std::max(channel.spent, *spent);
  channel.units = std::max(channel.units, units->value_or(0));
  return {};
}

Result<> closing_numbers(const Receipt& receipt, Channel& channel) {
  const auto hash = receipt.json.optional_string_at("txHash");
  ByteArray<32> bytes{};
  if (!hash || !*hash || !(*hash)->starts_with("0x") || !from_hex(**hash, bytes)) {
    return Error{Kind::protocol, "the receipt of the close names no transaction"};
  }
  return take_numbers(receipt, channel);
}

}  // namespace paycurl
