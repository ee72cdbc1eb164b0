"""Budgets of viewers and addresses: spent here in the worker, from blocks that are leased of what all workers share.

Most requests are paid from a block that is here, and send nothing. When Valkey is away, each worker keeps the same
budgets by itself, from what it knew last; it comes back to the shared ones by itself.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from app.costs import Budget, OverBudget, TooCostly
from app.live.leases import TOGETHER, Ask, LeasesAway, Lent, ValkeyLeases
from resolvers.context import Spending

# A block is this part of a budget: large enough that ten commands spend all of it, small enough that little is
# missing elsewhere.
BLOCKS = 10
# Seconds. Blocks that nobody spends from are given back after so long; a Valkey that is away is asked so often whether
# it is back, and a shared budget that refused whether others gave something back to it.
IDLE = 5.0
TEND_EVERY = 1.0
# Owners whose blocks and balances are kept. One takes some 400 bytes; whoever was not seen for longest is forgotten.
MOST_ACCOUNTS = 10_000

log = structlog.get_logger("maydan.budgets")


def viewer_key(account_id: int) -> str:
    """The key of a viewer's budget; its tag is the owner, as for all that an owner has in Valkey."""
    return f"maydan:budget:{{{account_id}}}"


def address_key(address: str) -> str:
    """The key of an anonymous client's budget. `address` as limits count by it (app/addresses.py)."""
    return f"maydan:budget:{{@{address}}}"


class _Account:
    """What is known here of one budget: points leased, and when the shared rest will be full again."""

    __slots__ = ("full_at", "points", "refused_at", "used")

    def __init__(self, now: float) -> None:
        self.points = 0
        self.full_at = now
        self.used = now
        self.refused_at = -math.inf


class Budgets:
    """The budgets of this worker's clients. `clock` in seconds, monotonic."""

    def __init__(
        self,
        leases: ValkeyLeases,
        budget: Budget,
        *,
        clock: Callable[[], float] = time.monotonic,
        most_accounts: int = MOST_ACCOUNTS,
    ) -> None:
        self._leases = leases
        self._budget = budget
        self._each = budget.seconds_per_point
        self._block = max(1, budget.points // BLOCKS)
        self._clock = clock
        self._most = most_accounts
        # Least recently used first.
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        # Keys that wait for an answer, and the points that are wanted of those that were not asked for yet.
        self._asking: dict[str, asyncio.Future[None]] = {}
        self._due: dict[str, int] = {}
        self._backs: dict[str, int] = {}
        self._sender: asyncio.Task[None] | None = None
        self.shared = True

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str, budget: Budget) -> "AsyncIterator[Budgets]":
        """Budgets shared through the Valkey at this address, which need not be there."""
        async with ValkeyLeases.connected(url, *budget) as leases:
            budgets = cls(leases, budget)
            tending = asyncio.create_task(budgets._tend_forever())
            try:
                yield budgets
            finally:
                tending.cancel()
                await asyncio.gather(tending, return_exceptions=True)
                await budgets.close()

    def __len__(self) -> int:
        return len(self._accounts)

    def spend(self, key: str, points: int) -> Spending | None:
        """Pay from what is here. None: that cannot be told here, await `reserve` instead.

        Raises OverBudget, and TooCostly for more than a budget can hold; then nothing was spent.
        """
        now = self._clock()
        account = self._accounts.get(key)
        if account is not None:
            account.used = now
            self._accounts.move_to_end(key)
            if account.points >= points:
                account.points -= points
                return self._spending(account, points, now)
        if points > self._budget.points:
            raise TooCostly(points, self._budget.points)
        if self.shared:
            if account is not None and now - account.refused_at < TEND_EVERY:
                self._check(account, points, now)
            return None
        if account is None:
            account = self._opened(key, now)
        self._check(account, points, now)
        account.full_at = max(account.full_at, now) + (points - account.points) * self._each
        account.points = 0
        return self._spending(account, points, now)

    async def reserve(self, key: str, points: int) -> Spending:
        """Pay, after leasing more when that is needed; those who wait for one key wait together.

        Raises as `spend` does. Never because of Valkey.
        """
        while True:
            spending = self.spend(key, points)
            if spending is not None:
                return spending
            asking = self._asking.get(key)
            if asking is None:
                asking = self._asking[key] = asyncio.get_running_loop().create_future()
                self._due[key] = points
                if self._sender is None or self._sender.done():
                    self._sender = asyncio.create_task(self._send())
            # Others wait for the same answer: who is cancelled must not take it with them.
            await asyncio.shield(asking)

    async def tend(self) -> None:
        """Give back what lies idle, forget what is full, see whether Valkey is back: once a second."""
        if not self.shared:
            self._backs.clear()
            with suppress(LeasesAway):
                await self._leases.ping()
                self.shared = True
                log.info("budgets are shared again")
            return
        now = self._clock()
        full = []
        for key, account in self._accounts.items():
            if now - account.used < IDLE:
                break
            if key not in self._asking:
                self._give_back(key, account)
                if account.full_at <= now and key not in self._backs:
                    full.append(key)
        for key in full:
            del self._accounts[key]
        await self._send_backs()

    async def close(self) -> None:
        """Give everything back."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        if self.shared:
            # Whoever still comes pays here.
            self.shared = False
            for key, account in self._accounts.items():
                self._give_back(key, account)
            await self._send_backs()
        for key in self._due:
            self._asking.pop(key).set_result(None)
        self._due.clear()

    async def _tend_forever(self) -> None:
        while True:
            await asyncio.sleep(TEND_EVERY)
            try:
                await self.tend()
            except Exception:
                log.exception("tending the budgets failed and goes on")

    def _spending(self, account: _Account, points: int, now: float) -> Spending:
        remaining = min(account.points + self._shared_rest(account, now), self._budget.points)
        return Spending(
            points, self._budget.points, remaining, (self._budget.points - remaining) * self._each
        )

    def _shared_rest(self, account: _Account, now: float) -> int:
        """What is left of a budget beside the points leased, as far as it is known here."""
        missing = max(account.full_at - now, 0.0) / self._each
        return max(0, math.floor(self._budget.points - missing + 1e-6))

    def _check(self, account: _Account, points: int, now: float) -> None:
        remaining = account.points + self._shared_rest(account, now)
        if remaining >= points:
            return
        retry_after = max(1, math.ceil((points - remaining) * self._each))
        raise OverBudget(points, remaining, self._budget.points, retry_after)

    def _opened(self, key: str, now: float) -> _Account:
        account = self._accounts[key] = _Account(now)
        if len(self._accounts) > self._most:
            self._give_back(*self._accounts.popitem(last=False))
        return account

    def _give_back(self, key: str, account: _Account) -> None:
        # What finds no room is not lost for long: it is refilled like points that were spent.
        if account.points and len(self._backs) < self._most:
            self._backs[key] = self._backs.get(key, 0) + account.points
        account.points = 0

    async def _send(self) -> None:
        """Ask for what is due until nothing is; what comes meanwhile goes together."""
        while self._due:
            due = {key: self._due.pop(key) for key in list(self._due)[:TOGETHER]}
            try:
                if self.shared:
                    answers = await self._leases.lend([self._ask(key, points) for key, points in due.items()])
                    for key, lent in zip(due, answers, strict=True):
                        self._took(key, lent)
            except LeasesAway as error:
                self._went_away(error)
            except Exception as error:
                log.exception("leasing failed")
                self._went_away(error)
            finally:
                for key in due:
                    self._asking.pop(key).set_result(None)

    def _ask(self, key: str, points: int) -> Ask:
        account = self._accounts.get(key)
        least = max(1, points - account.points) if account else points
        return Ask(key, 0, max(least, self._block), least)

    def _took(self, key: str, lent: Lent) -> None:
        now = self._clock()
        account = self._accounts.get(key) or self._opened(key, now)
        account.points += lent.points
        account.full_at = now + lent.full_in
        account.refused_at = -math.inf if lent.points else now

    async def _send_backs(self) -> None:
        while self._backs:
            backs = {key: self._backs.pop(key) for key in list(self._backs)[:TOGETHER]}
            try:
                answers = await self._leases.lend([Ask(key, back) for key, back in backs.items()])
            except LeasesAway as error:
                # Maybe they arrived: giving them back again could give too much.
                self._went_away(error)
                self._backs.clear()
                return
            now = self._clock()
            for key, lent in zip(backs, answers, strict=True):
                account = self._accounts.get(key)
                if account is not None:
                    account.full_at = now + lent.full_in

    def _went_away(self, error: Exception) -> None:
        if self.shared:
            log.warning("budgets are each worker's own until Valkey is back", error=str(error)[:200])
        self.shared = False
