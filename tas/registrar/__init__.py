"""Who an agent is (digest) and where its phone is (bindings, RFC 3261 10)."""
