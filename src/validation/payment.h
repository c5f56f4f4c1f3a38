// The checks of a payment: altered copies before it, the receipt and the answer, the same
// credential again behind it. The payment itself is made by a Flow, which this never goes around.
#pragma once

#include <optional>
#include <string>

#include "src/payment/flow.h"
#include "src/validation/endpoint.h"

namespace paycurl::validation {

/// The client that a Flow pays through. Before the first credential of a charge leaves, it goes out
/// altered, which no server takes that binds challenges (checks "payment.tampered-*"). The journal
/// says by then that it leaves: when one is taken, the rail knows, and the Flow asks it.
class Tampering : public http::Client {
 public:
  Tampering(http::Client& inner, const Probe& probe, Report& report)
      : inner_(inner), probe_(probe), report_(report) {}
  ~Tampering() override {
    if (paid_) paid_->headers.wipe();
  }
  Tampering(const Tampering&) = delete;
  Tampering& operator=(const Tampering&) = delete;

  int start(http::Request request, http::Stream& stream) override;
  void cancel(int exchange, const Error& reason) override { inner_.cancel(exchange, reason); }
  void limit(int exchange, http::Duration from_now) override { inner_.limit(exchange, from_now); }
  void run() override { inner_.run(); }
  Result<std::unique_ptr<http::Connection>> connect(const http::Request& request) override {
    return inner_.connect(request);
  }

  /// The request that carried the first credential; nothing when none left.
  const std::optional<http::Request>& paid_request() const { return paid_; }
  /// An altered copy was taken for a payment: nothing can be said of the true one.
  bool was_taken() const { return taken_; }

 private:
  void send_altered(const http::Request& request, const Json& credential);
  bool send(std::string_view check, http::Request request);

  http::Client& inner_;
  const Probe& probe_;
  Report& report_;
  std::optional<http::Request> paid_;
  bool taken_ = false;
};

/// A payment that a Flow made.
struct Paid {
  const Outcome& outcome;
  const http::Head& head;      ///< of the paid answer
  std::string_view body;       ///< its start
  const Challenge& challenge;  ///< that was paid
};

/// Checks the answer to a payment, its receipt, and what the rail says.
void check_paid_answer(const Probe& probe, const Paid& paid, const Settlement& settlement,
                       Report& report);

/// Sends the credential of a charge once more, and the request without it. Moves no money: the rail
/// takes the same proof once.
void check_replay(const Probe& probe, const http::Request& paid_request, const Asked& asked,
                  Report& report);

}  // namespace paycurl::validation
