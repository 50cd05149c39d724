"""Two rows that production systems published in 2019, as the bureau's systems would hold them.

The representative's name is not part of what is known of them; an invented one stands in its place. What is wrong in them was found
there: a placeholder for a government body's code, and a publication that outlives the penalty by a year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.catalog.identifiers import PLACEHOLDER
from gateway.catalog.model import Weight
from gateway.demo.business import PENALTIES, PERMITS
from gateway.demo.desk import Cell

__all__ = ["PUBLISHED", "PublishedRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """A row of ``table`` (columns that it leaves out are empty), and the problem that a careful reader finds in it."""

    table: str
    cells: Mapping[str, Cell]
    code: str
    weight: Weight


_SUBJECT: Final[Mapping[str, Cell]] = {
    "XDR_NAME": "双鸭山智慧城市运营有限公司",
    "XDR_TYPE": "法人及非法人组织",
    "XDR_USCC": "91230500MA1B3N1N2M",
    "FR_NAME": "椴示例",
}

PUBLISHED: Final = (
    PublishedRow(
        table=PERMITS.name,
        cells=MappingProxyType(
            {
                **_SUBJECT,
                "WS_NAME": "双环许可证书2019",
                "WS_NO": "双环许可2019",
                "XK_TYPE": "普通",
                "XK_CONTENT": "许可开展智慧城市建设",
                "JD_DATE": "2019-09-01",
                "VALID_FROM": "2019-09-05",
                "VALID_TO": "2020-09-22",
                "JG_NAME": "双鸭山市",
                "JG_USCC": PLACEHOLDER,
                "ZT": "1",
                "LY_NAME": "双鸭山市",
                "LY_USCC": PLACEHOLDER,
                "UPDATED_AT": "2019-09-11 14:59:41",
            }
        ),
        code="placeholder-code",
        weight=Weight.REJECT,
    ),
    PublishedRow(
        table=PENALTIES.name,
        cells=MappingProxyType(
            {
                **_SUBJECT,
                "CASE_DOC_NO": "市场【2019】1号",
                "WF_TYPE": "违反相关产品准入市场规定",
                "WF_FACT": "违反相关产品准入市场规定",
                "CF_BASIS": "依据《行业准入规定》",
                "CF_TYPE": "罚款",
                "CF_CONTENT": "罚款2000元",
                "FINE_YUAN": 2000,
                "JD_DATE": "2019-10-10",
                "VALID_TO": "2019-10-17",
                "PUBLIC_END": "2020-10-17",
                "JG_NAME": "双鸭山市公安局",
                "JG_USCC": "11230500001755309F",
                "LY_NAME": "双鸭山市公安局",
                "LY_USCC": "11230500001755309F",
                "UPDATED_AT": "2019-10-10 17:00:00",
            }
        ),
        code="order-violated",
        weight=Weight.NOTICE,
    ),
)
