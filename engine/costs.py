"""What trading costs: fractions of traded notional (fee) and of price (slippage), and the funding rate per 8 hours."""

from dataclasses import dataclass

from ..state.errors import BadConfig


@dataclass(frozen=True)
class Costs:
    """fee: per side. slippage: per market fill. funding: paid by longs at 00:00, 08:00 and 16:00 UTC. All fractions."""

    fee: float = 0.0005
    slippage: float = 0.0002
    funding: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.fee < 0.1:
            raise BadConfig(f"fee must be a fraction in [0, 0.1), not {self.fee}", fix="0.05 % is written 0.0005")
        if not 0.0 <= self.slippage < 0.1:
            raise BadConfig(
                f"slippage must be a fraction in [0, 0.1), not {self.slippage}", fix="0.02 % is written 0.0002"
            )
        if not -0.1 < self.funding < 0.1:
            raise BadConfig(
                f"funding must be a fraction in (-0.1, 0.1), not {self.funding}", fix="0.01 % is written 0.0001"
            )

    def times(self, factor: float) -> "Costs":
        """Fee and slippage scaled, for cost stress; funding is a rate of the market and stays."""
        return Costs(self.fee * factor, self.slippage * factor, self.funding)
