"""Names of places, people and businesses that do not exist: the surnames are trees, the places are on no map."""

from __future__ import annotations

from random import Random
from typing import Final

__all__ = ["PLACES", "company", "cooperative", "person", "sole_trader"]

# fmt: off
PLACES: Final = (
    "云杉岭", "白桦沟", "三岔松", "红椴河", "雾凇坡", "青苔岗", "老榆屯", "鹿鸣川", "黑琴鸡沟", "冰凌花甸",
    "落叶松台", "雪兔洼", "石松岗", "蓝莓甸子", "桦皮窝棚", "双蕨岭", "榛柴岗", "水曲柳湾", "林海屯", "獐子坡",
)
_SURNAMES: Final = ("桦", "椴", "杉", "枫", "槭", "榛", "楸", "栎", "桤", "榉", "楠", "槐", "樟", "桉", "橡", "榕")
_GIVEN: Final = (
    "示例", "样本", "林海", "青山", "雪松", "春雷", "秋实", "长河", "晓岚", "远航", "望舒", "思源", "立冬", "惊蛰",
    "谷雨", "清泉", "云帆", "星野", "石溪", "听涛", "小满", "知秋", "向晚", "若木",
)
_BRANDS: Final = ("松涛", "林顺", "雪岭", "鹿行", "青柞", "百木", "林驰", "远岫", "北麓", "晨霜", "岭通", "绿野", "驿林", "冰河")
_TRADES: Final = (
    "运输有限公司", "物流有限公司", "货运有限公司", "客运有限责任公司", "汽车维修有限公司", "驾驶员培训有限公司", "木业有限公司",
    "路桥工程有限公司", "林产品加工有限公司", "机械租赁有限公司", "旅游客运有限公司", "苗木有限公司",
)
_FARMING: Final = ("苗木种植", "食用菌种植", "蓝莓种植", "农机服务", "林下养殖")
_SHOPS: Final = ("货运部", "汽车修理部", "轮胎店", "配货站", "木材经销处", "山货店", "洗车行", "吊装服务部")
# fmt: on


def person(random: Random) -> str:
    """A natural person."""
    return random.choice(_SURNAMES) + random.choice(_GIVEN)


def company(random: Random) -> str:
    """A company."""
    return random.choice(PLACES) + random.choice(_BRANDS) + random.choice(_TRADES)


def cooperative(random: Random) -> str:
    """A farmers' cooperative."""
    return f"{random.choice(PLACES)}{random.choice(_BRANDS)}{random.choice(_FARMING)}专业合作社"


def sole_trader(random: Random) -> str:
    """A sole trader's business."""
    return random.choice(PLACES) + random.choice(_BRANDS) + random.choice(_SHOPS)
