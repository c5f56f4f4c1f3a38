// phoenixd: forms in, JSON out, and plain text when something is wrong.
#include "src/methods/lightning/nodes/rest.h"

namespace paycurl::lightning {
namespace {

constexpr std::size_t kMaxDescription = 128;

/// What it pays for every payment: 4 sat and 0.4 %, rounded up.
std::optional<Amount> fee_of(Amount amount) {
  const auto share = amount.times(4000);
  if (!share) return std::nullopt;
  const auto [whole, rest] = share->divided_by(1'000'000);
  return whole.plus(rest == 0 ? 4000 : 4001);
}

/// A form's value. It has UTF-8 as it is, percent-encoded.
std::string encoded(std::string_view text) {
  std::string form;
  for (const char c : text) {
    const bool is_plain =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const auto byte = static_cast<std::uint8_t>(c);
    form += is_plain ? std::string(1, c) : "%" + to_hex(ByteView(&byte, 1));
  }
  return form;
}

/// The first `limit` bytes, without a letter that is cut in two.
std::string_view shortened(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<std::uint8_t>(text[limit]) & 0xc0) == 0x80) {
    --limit;
  }
  return text.substr(0, limit);
}

bool is_true_at(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value != nullptr && value->boolean() != nullptr && *value->boolean();
}

/// Basic authentication (RFC 7617) with no user.
Result<Secret> login_of(const Secret& password) {
  std::string pair = ":";
  pair.reserve(1 + password.text().size());
  pair += password.text();
  std::string base64 = to_base64(as_bytes(pair));
  std::string field = "Basic ";
  field.reserve(field.size() + base64.size());
  field += base64;
  Secret login;
  const bool fits = field.size() <= Secret::kCapacity;
  if (fits) login.assign(as_bytes(field));
  for (std::string* text : {&pair, &base64, &field}) {
    wipe(text->data(), text->size());
  }
  if (!fits) return Error{Kind::usage, "the wallet's password is too long"};
  return login;
}

class Phoenixd : public Node {
 public:
  Phoenixd(Connection connection, std::unique_ptr<http::Client> client, Secret login)
      : rest_(std::move(connection), std::move(client), "Authorization", std::move(login)) {}

  Result<NodeInfo> info() override {
    const auto json = rest_.read({"/getinfo"});
    if (!json) return json.error();
    auto network = network_named(text_at(*json, "chain"));
    if (!network) return network.error();
    NodeInfo info;
    info.network = std::move(*network);
    info.id = text_at(*json, "nodeId");
    return info;
  }

  Result<Amount> balance() override {
    const auto json = rest_.read({"/getbalance"});
    if (!json) return json.error();
    const auto amount = satoshi_at(*json, "balanceSat");
    if (!amount) return unreadable();
    return *amount;
  }

  Result<std::optional<Amount>> fixed_fee(const Invoice& invoice) override {
    return invoice.amount ? fee_of(*invoice.amount) : std::nullopt;
  }

  Payment pay(const Invoice& invoice, Amount most_fee, http::Duration patience) override {
    const Countdown countdown(patience);
    const auto fee = fee_of(invoice.amount.value_or(Amount()));
    if (!fee || *fee > most_fee) {
      return failed({Kind::declined, "phoenixd's fee is above the limit",
                     "allow more with --max-fee", "max_fee"});
    }
    const Reply reply =
        rest_.ask({"/payinvoice", std::nullopt, "invoice=" + encoded(invoice.text), patience});
    if (reply.fate == Reply::Fate::unsent) return failed(rest_.error_of(reply));
    Error why = rest_.error_of(reply);
    Verdict verdict = rest_.verdict_of(reply);
    if (reply.is_good()) {
      Payment paid = read_answer(reply.json, invoice.payment_hash);
      if (paid.state == Payment::State::settled) return paid;
      if (paid.state == Payment::State::failed) verdict = Verdict::failed;
      why = std::move(*paid.why);
    }
    return settle(*this, invoice.payment_hash, countdown.left(), verdict, std::move(why));
  }

  Payment look_up(const Digest& payment_hash, http::Duration patience) override {
    return wait_for_end([&] { return look(payment_hash); }, patience);
  }

  Result<std::string> make_invoice(const std::string& description,
                                   std::chrono::seconds lifetime) override {
    const std::string form = "description=" + encoded(shortened(description, kMaxDescription)) +
                             "&expirySeconds=" + std::to_string(lifetime.count());
    const auto json = rest_.read({"/createinvoice", std::nullopt, form});
    if (!json) return json.error();
    std::string invoice = text_at(*json, "serialized");
    if (invoice.empty()) return unreadable();
    return invoice;
  }

  Result<std::optional<Received>> received(const Digest& payment_hash) override {
    const Reply reply = rest_.ask({"/payments/incoming/" + to_hex(payment_hash)});
    if (is_none(reply)) return std::optional<Received>();
    if (!reply.is_good()) return rest_.error_of(reply);
    Received received;
    received.settled = is_true_at(reply.json, "isPaid");
    const auto amount = satoshi_at(reply.json, "receivedSat");
    if (received.settled && !amount) return unreadable();
    if (received.settled) received.amount = *amount;
    return std::optional<Received>(received);
  }

 private:
  /// Paid and not paid are both 200: only the preimage tells them apart.
  Payment read_answer(const Json& json, const Digest& payment_hash) const {
    if (json.find("paymentPreimage") != nullptr) {
      return settled_with(text_at(json, "paymentPreimage"), payment_hash,
                          satoshi_at(json, "routingFeeSat"));
    }
    const std::string reason = text_at(json, "reason");
    if (reason.empty()) return unknown(unreadable());
    Error why = rest_.error_of(reason);
    return is_duplicate(reason) ? unknown(std::move(why)) : failed(std::move(why));
  }

  /// A path that it does not know is 404 as well, with other words; so is, in older versions, a
  /// payment that it does not know, which therefore stays in doubt.
  static bool is_none(const Reply& reply) {
    return reply.fate == Reply::Fate::answered && reply.status == 404 && reply.text == "Not found";
  }

  Payment look(const Digest& payment_hash) {
    const Reply reply = rest_.ask({"/payments/outgoingbyhash/" + to_hex(payment_hash)});
    Payment found;
    if (is_none(reply)) {
      found.state = Payment::State::never;
      return found;
    }
    if (!reply.is_good()) return unknown(rest_.error_of(reply));
    const Json& json = reply.json;
    if (text_at(json, "paymentHash") != to_hex(payment_hash)) return unknown(unreadable());
    if (is_true_at(json, "isPaid")) {
      return settled_with(text_at(json, "preimage"), payment_hash, number_at(json, "fees"));
    }
    const Json* completed = json.find("completedAt");
    const bool is_over = completed != nullptr && !completed->is_null();
    return is_over ? failed(no_reason()) : in_flight();
  }

  Rest rest_;
};

}  // namespace

Result<std::unique_ptr<Node>> make_phoenixd(Connection connection, const ClientFor& client_for) {
  auto login = login_of(connection.secret);
  if (!login) return login.error();
  auto client = client_for(connection.ca_pem);
  return std::unique_ptr<Node>(
      std::make_unique<Phoenixd>(std::move(connection), std::move(client), std::move(*login)));
}

}  // namespace paycurl::lightning
