// What the wallets that are asked over HTTP have in common: one question with the secret in a
// header field, one answer of limited size and time, and what a refusal means.
#pragma once

#include <functional>

#include "src/base/json.h"
#include "src/methods/lightning/node.h"

namespace paycurl::lightning {

/// An answer, or why there is none.
struct Reply {
  enum class Fate {
    answered,
    lost,    ///< the question may have arrived
    unsent,  ///< it certainly did not
  };
  Fate fate = Fate::lost;
  int status = 0;
  Json json;                 ///< null when the body is none
  std::string text;          ///< of a refusal that is no JSON, its start; foreign
  std::optional<Error> why;  ///< unless answered

  bool is_good() const { return fate == Fate::answered && status / 100 == 2 && !json.is_null(); }
};

/// What an answer that is no success says about the payment that was asked for.
enum class Verdict {
  refused,  ///< the question was turned away: nothing was tried
  failed,   ///< it was tried or looked at, and not paid
  open,     ///< anything may have happened
};

class Rest {
 public:
  struct Question {
    std::string path;               ///< "/v1/getinfo"
    std::optional<Json> json = {};  ///< what is posted; with neither it is a GET
    std::string form = {};          ///< the same, as application/x-www-form-urlencoded
    http::Duration patience{0};     ///< with any, it may move money: it is sent only once
    std::size_t limit = Json::kForeignLimit;
  };
  /// Gets one line of an answer, and says whether it wants more.
  using Lines = std::function<bool(const Json&)>;

  /// The credential goes into the field as it is; it is the connection's secret when empty.
  Rest(Connection connection, std::unique_ptr<http::Client> client, std::string field,
       Secret credential = {})
      : connection_(std::move(connection)),
        client_(std::move(client)),
        field_(std::move(field)),
        credential_(std::move(credential)) {}

  /// Asks, and waits a little longer than the question's patience. With `lines` an answer of 200
  /// has one JSON text a line, and the limit is a line's; one that is no JSON ends it as lost.
  Reply ask(const Question& question, const Lines& lines = nullptr);
  /// The JSON of a good answer; else what `error_of` says.
  Result<Json> read(const Question& question);

  /// Kind::account when the secret is refused; insufficient_funds, declined or backend for what the
  /// wallet says; protocol for what cannot be read.
  Error error_of(const Reply& reply) const;
  /// The same for a reason that came with a good answer.
  Error error_of(std::string_view reason) const;
  Verdict verdict_of(const Reply& reply) const;

  const std::string& url() const { return connection_.url; }

 private:
  Result<http::Request> request_of(const Question& question) const;
  bool refuses_secret(const Reply& reply) const;
  std::string shown(std::string_view foreign) const;

  Connection connection_;
  std::unique_ptr<http::Client> client_;
  std::string field_;
  Secret credential_;
};

/// Whether a reason says that the same payment was made before, or is being made.
bool is_duplicate(std::string_view reason);

Payment in_flight();
Payment failed(Error why);
Payment unknown(Error why);
/// A failure that comes without a reason.
Error no_reason();
Error unreadable();
Error no_invoices();

/// What a payment has come to, by one look-up, which waits for its end unless a signal is why. That
/// the node never heard of it says nothing while the question may still be on its way.
Payment settle(Node& node, const Digest& payment_hash, http::Duration patience, Verdict verdict,
               Error why);

/// Looks again, ever more slowly, while the payment is in flight and there is patience.
Payment wait_for_end(const std::function<Payment()>& look, http::Duration patience);

/// How much of a patience is left.
class Countdown {
 public:
  explicit Countdown(http::Duration patience) : end_(std::chrono::steady_clock::now() + patience) {}
  http::Duration left() const;

 private:
  std::chrono::steady_clock::time_point end_;
};

/// Whole seconds of a patience, at least one.
std::int64_t seconds_of(http::Duration patience);

/// A number that is not negative: an integer, or a string of one, also with "msat" behind it.
std::optional<Amount> number_at(const Json& json, std::string_view key);
/// Millisatoshi of a member that counts satoshi.
std::optional<Amount> satoshi_at(const Json& json, std::string_view key);
/// The string, or an empty one.
std::string text_at(const Json& json, std::string_view key);
/// What Invoice calls the network of that name. Kind::protocol for one that it has no word for.
Result<std::string> network_named(std::string_view name);

}  // namespace paycurl::lightning
