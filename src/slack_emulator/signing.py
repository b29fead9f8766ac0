"""Key that signs ID tokens (Slack, "Sign in with Slack": RS256, public keys published)."""

from __future__ import annotations

import json
import secrets
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from slack_emulator.model import Json


class Signing:
    """An RSA key, made when the first user signs in."""

    def __init__(self) -> None:
        self.id = secrets.token_hex(8)
        self.readers: dict[str, Json] = {}
        """By access token: the claims of the user who signed in."""

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def published(self) -> Json:
        """The public key as a JSON Web Key Set."""
        public: Json = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [public | {"kid": self.id, "use": "sig", "alg": "RS256"}]}
