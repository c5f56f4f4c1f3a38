#include "src/methods/lightning/node.h"

namespace paycurl::lightning {

Payment settled_with(std::string_view preimage, const Digest& payment_hash,
                     std::optional<Amount> fee) {
  Payment payment;
  ByteArray<32> bytes{};
  // All zeros is how a node writes that it has none.
  const bool fits = preimage.size() == 64 && from_hex(preimage, bytes).has_value() &&
                    bytes != ByteArray<32>{} && sha256(bytes) == payment_hash;
  if (fits) {
    payment.state = Payment::State::settled;
    payment.preimage.assign(bytes);
    payment.fee = fee;
  } else {
    payment.why =
        Error{Kind::backend, "the wallet says that it paid, but what it shows does not prove it",
              "look at the payment in the wallet", "bad_preimage"};
  }
  wipe(bytes.data(), bytes.size());
  return payment;
}

Result<std::unique_ptr<Node>> make_node(Connection connection, const ClientFor& client_for,
                                        Clock clock) {
  switch (connection.kind) {
    case Connection::Kind::lnd:
      return make_lnd(std::move(connection), client_for);
    case Connection::Kind::cln:
      return make_cln(std::move(connection), client_for);
    case Connection::Kind::phoenixd:
      return make_phoenixd(std::move(connection), client_for);
    case Connection::Kind::lnbits:
      return make_lnbits(std::move(connection), client_for);
    case Connection::Kind::nwc:
      return make_nwc(std::move(connection), client_for, std::move(clock));
  }
  std::abort();
}

}  // namespace paycurl::lightning
