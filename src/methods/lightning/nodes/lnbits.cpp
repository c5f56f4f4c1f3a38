// LNbits: an account at somebody's node. It pays; invoices without an amount it neither makes nor
// pays, so there are no sessions with it.
#include "src/methods/lightning/nodes/rest.h"

namespace paycurl::lightning {
namespace {

/// LNbits writes what was paid as a negative number.
std::optional<Amount> paid_at(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  const auto number = value == nullptr ? std::nullopt : value->integer();
  if (!number || *number == INT64_MIN) return std::nullopt;
  return Amount(static_cast<std::uint64_t>(*number < 0 ? -*number : *number));
}

class Lnbits : public Node {
 public:
  Lnbits(Connection connection, std::unique_ptr<http::Client> client)
      : rest_(std::move(connection), std::move(client), "X-Api-Key") {}

  Result<NodeInfo> info() override {
    const auto json = rest_.read({"/api/v1/wallet"});
    if (!json) return json.error();
    if (!number_at(*json, "balance")) return unreadable();
    NodeInfo info;
    info.name = text_at(*json, "name");
    info.can_invoice = false;
    return info;
  }

  Result<Amount> balance() override {
    const auto json = rest_.read({"/api/v1/wallet"});
    if (!json) return json.error();
    const auto amount = number_at(*json, "balance");
    if (!amount) return unreadable();
    return *amount;
  }

  /// What it sets aside for routing, and no payment goes beyond.
  Result<std::optional<Amount>> fixed_fee(const Invoice& invoice) override {
    if (reserve_ && reserved_for_ == invoice.payment_hash) return reserve_;
    const auto json = rest_.read({"/api/v1/payments/fee-reserve?invoice=" + invoice.text});
    if (!json) return json.error();
    const auto reserve = number_at(*json, "fee_reserve");
    if (!reserve) return unreadable();
    reserve_ = reserve;
    reserved_for_ = invoice.payment_hash;
    return reserve_;
  }

  Payment pay(const Invoice& invoice, Amount most_fee, http::Duration patience) override {
    const Countdown countdown(patience);
    const auto reserve = fixed_fee(invoice);
    if (!reserve) return failed(reserve.error());
    if (!*reserve || **reserve > most_fee) {
      return failed({Kind::declined, "what LNbits sets aside for routing is above the limit",
                     "allow more with --max-fee", "max_fee"});
    }
    const Json question = Json::object({{"out", true}, {"bolt11", invoice.text}});
    const Reply reply = rest_.ask({"/api/v1/payments", question, "", patience});
    Error why = rest_.error_of(reply);
    if (reply.fate == Reply::Fate::unsent) return failed(std::move(why));
    if (reply.is_good() && text_at(reply.json, "status") == "success") {
      Payment paid = settled_with(text_at(reply.json, "preimage"), invoice.payment_hash,
                                  paid_at(reply.json, "fee"));
      if (paid.state == Payment::State::settled) return paid;
      why = std::move(*paid.why);
    }
    return settle(*this, invoice.payment_hash, countdown.left(), rest_.verdict_of(reply),
                  std::move(why));
  }

  Payment look_up(const Digest& payment_hash, http::Duration patience) override {
    return wait_for_end([&] { return look(payment_hash); }, patience);
  }

  Result<std::string> make_invoice(const std::string& /*description*/,
                                   std::chrono::seconds /*lifetime*/) override {
    return no_invoices();
  }

  Result<std::optional<Received>> received(const Digest& /*payment_hash*/) override {
    return no_invoices();
  }

 private:
  Payment look(const Digest& payment_hash) {
    const Reply reply = rest_.ask({"/api/v1/payments/" + to_hex(payment_hash)});
    Payment found;
    if (is_none(reply)) {
      found.state = Payment::State::never;
      return found;
    }
    if (!reply.is_good()) return unknown(rest_.error_of(reply));
    const Json* paid = reply.json.find("paid");
    if (paid == nullptr || paid->boolean() == nullptr) return unknown(unreadable());
    if (*paid->boolean()) {
      const Json* details = reply.json.find("details");
      return settled_with(text_at(reply.json, "preimage"), payment_hash,
                          details == nullptr ? std::nullopt : paid_at(*details, "fee"));
    }
    const std::string status = text_at(reply.json, "status");
    if (status == "failed") return failed(no_reason());
    if (status == "pending") return in_flight();
    return unknown(unreadable());
  }

  /// A path that nothing is behind is 404 as well: "Not Found".
  static bool is_none(const Reply& reply) {
    const std::string detail = text_at(reply.json, "detail");
    return reply.fate == Reply::Fate::answered && reply.status == 404 && !detail.empty() &&
           detail != "Not Found";
  }

  Rest rest_;
  std::optional<Amount> reserve_;
  Digest reserved_for_{};
};

}  // namespace

Result<std::unique_ptr<Node>> make_lnbits(Connection connection, const ClientFor& client_for) {
  auto client = client_for(connection.ca_pem);
  return std::unique_ptr<Node>(std::make_unique<Lnbits>(std::move(connection), std::move(client)));
}

}  // namespace paycurl::lightning
