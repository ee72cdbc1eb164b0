"""What may come of a Valkey that is away, slow or in trouble."""

from redis.exceptions import RedisError

# RuntimeError: uvloop's, for a connection that was closed under a write; redis-py passes it on.
TROUBLE = (RedisError, OSError, TimeoutError, RuntimeError)
