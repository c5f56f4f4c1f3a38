// Core Lightning's clnrest: its commands as POST requests, answered with 201 when they went well.
#include "src/crypto/random.h"
#include "src/methods/lightning/nodes/rest.h"

namespace paycurl::lightning {
namespace {

constexpr std::size_t kMaxChannels = 4 << 20;

/// The commands' error codes; 0 when there is none.
constexpr std::int64_t kUnknownCommand = -32601;
constexpr std::int64_t kInProgress = 200;
constexpr std::int64_t kOtherAmount = 201;
constexpr std::int64_t kNoRoute = 205;
constexpr std::int64_t kTooExpensive = 206;
constexpr std::int64_t kTimedOut = 210;
constexpr std::int64_t kPaidBefore = 219;

std::int64_t code_of(const Reply& reply) {
  if (reply.fate != Reply::Fate::answered || reply.is_good()) return 0;
  const Json* error = reply.json.find("error");
  const Json* code = (error == nullptr ? reply.json : *error).find("code");
  return code == nullptr ? 0 : code->integer().value_or(0);
}

/// A payment that is over, with its preimage under `key`; routing cost what was sent beyond what
/// arrived.
Payment read_paid(const Json& json, std::string_view key, const Digest& payment_hash) {
  const auto sent = number_at(json, "amount_sent_msat");
  const auto amount = number_at(json, "amount_msat");
  return settled_with(text_at(json, key), payment_hash,
                      sent && amount ? sent->minus(*amount) : std::nullopt);
}

/// One hash can have several entries: one that is complete says more than one that failed.
Payment read_pays(const Json::Array& pays, const Digest& payment_hash) {
  Payment found;
  found.state = Payment::State::never;
  for (const Json& entry : pays) {
    if (text_at(entry, "payment_hash") != to_hex(payment_hash)) return unknown(unreadable());
    const std::string status = text_at(entry, "status");
    if (status == "complete") return read_paid(entry, "preimage", payment_hash);
    if (status != "pending" && status != "failed") return unknown(unreadable());
    if (status == "pending") found = in_flight();
    if (found.state == Payment::State::never) found = failed(no_reason());
  }
  return found;
}

class Cln : public Node {
 public:
  Cln(Connection connection, std::unique_ptr<http::Client> client)
      : rest_(std::move(connection), std::move(client), "Rune") {}

  Result<NodeInfo> info() override {
    const auto json = rest_.read({"/v1/getinfo", Json::object()});
    if (!json) return json.error();
    auto network = network_named(text_at(*json, "network"));
    if (!network) return network.error();
    NodeInfo info;
    info.network = std::move(*network);
    info.name = text_at(*json, "alias");
    info.id = text_at(*json, "id");
    return info;
  }

  Result<Amount> balance() override {
    const auto json =
        rest_.read({"/v1/listpeerchannels", Json::object(), "", http::Duration(0), kMaxChannels});
    if (!json) return json.error();
    const Json* channels = json->find("channels");
    if (channels == nullptr || channels->items() == nullptr) return unreadable();
    Amount sum;
    for (const Json& channel : *channels->items()) {
      if (text_at(channel, "state") != "CHANNELD_NORMAL") continue;
      const auto more = sum.plus(number_at(channel, "spendable_msat").value_or(Amount()));
      if (!more) return unreadable();
      sum = *more;
    }
    return sum;
  }

  Result<std::optional<Amount>> fixed_fee(const Invoice& /*invoice*/) override {
    return std::optional<Amount>();
  }

  Payment pay(const Invoice& invoice, Amount most_fee, http::Duration patience) override {
    const Countdown countdown(patience);
    const Digest& hash = invoice.payment_hash;
    Reply reply = pay_with("xpay", "invstring", invoice, most_fee, patience);
    if (code_of(reply) == kUnknownCommand) {
      reply = pay_with("pay", "bolt11", invoice, most_fee, patience);  // older than 24.11
    }
    if (reply.fate == Reply::Fate::unsent) return failed(error_of(reply));
    if (!reply.is_good()) {
      return settle(*this, hash, countdown.left(), verdict_of(reply), error_of(reply));
    }
    Payment paid = read_paid(reply.json, "payment_preimage", hash);
    if (paid.state == Payment::State::settled) return paid;
    return settle(*this, hash, countdown.left(), Verdict::open, *paid.why);
  }

  Payment look_up(const Digest& payment_hash, http::Duration patience) override {
    return wait_for_end([&] { return look(payment_hash); }, patience);
  }

  Result<std::string> make_invoice(const std::string& description,
                                   std::chrono::seconds lifetime) override {
    const Json question = Json::object({{"amount_msat", "any"},
                                        {"label", "paycurl-" + to_hex(random_array<16>())},
                                        {"description", description},
                                        {"expiry", std::int64_t{lifetime.count()}}});
    const auto json = rest_.read({"/v1/invoice", question});
    if (!json) return json.error();
    std::string invoice = text_at(*json, "bolt11");
    if (invoice.empty()) return unreadable();
    return invoice;
  }

  Result<std::optional<Received>> received(const Digest& payment_hash) override {
    const Json question = Json::object({{"payment_hash", to_hex(payment_hash)}});
    const auto json = rest_.read({"/v1/listinvoices", question});
    if (!json) return json.error();
    const Json* invoices = json->find("invoices");
    if (invoices == nullptr || invoices->items() == nullptr) return unreadable();
    if (invoices->items()->empty()) return std::optional<Received>();
    const Json& invoice = invoices->items()->front();
    Received received;
    received.settled = text_at(invoice, "status") == "paid";
    const auto amount = number_at(invoice, "amount_received_msat");
    if (received.settled && !amount) return unreadable();
    if (received.settled) received.amount = *amount;
    return std::optional<Received>(received);
  }

 private:
  Reply pay_with(const std::string& command, const std::string& key, const Invoice& invoice,
                 Amount most_fee, http::Duration patience) {
    const Json question = Json::object({{key, invoice.text},
                                        {"maxfee", most_fee.decimal() + "msat"},
                                        {"retry_for", seconds_of(patience)}});
    return rest_.ask({"/v1/" + command, question, "", patience});
  }

  Error error_of(const Reply& reply) const {
    Error error = rest_.error_of(reply);
    if (error.kind != Kind::backend) return error;
    if (code_of(reply) == kNoRoute) error.reason = "no_route";
    if (code_of(reply) == kTooExpensive) {
      error.kind = Kind::declined;
      error.hint = "allow more with --max-fee";
      error.reason = "max_fee";
    }
    return error;
  }

  Verdict verdict_of(const Reply& reply) const {
    const std::int64_t code = code_of(reply);
    const bool open =
        code == kInProgress || code == kOtherAmount || code == kTimedOut || code == kPaidBefore;
    return open ? Verdict::open : rest_.verdict_of(reply);
  }

  Payment look(const Digest& payment_hash) {
    const Json question = Json::object({{"payment_hash", to_hex(payment_hash)}});
    const auto json = rest_.read({"/v1/listpays", question});
    if (!json) return unknown(json.error());
    const Json* pays = json->find("pays");
    if (pays == nullptr || pays->items() == nullptr) return unknown(unreadable());
    return read_pays(*pays->items(), payment_hash);
  }

  Rest rest_;
};

}  // namespace

Result<std::unique_ptr<Node>> make_cln(Connection connection, const ClientFor& client_for) {
  auto client = client_for(connection.ca_pem);
  return std::unique_ptr<Node>(std::make_unique<Cln>(std::move(connection), std::move(client)));
}

}  // namespace paycurl::lightning
