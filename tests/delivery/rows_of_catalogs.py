"""Sound rows of every catalog, field by field, as a source would hold them: dates by ISO 8601, amounts as plain decimals.

Each field of a catalog is filled in at least one of its rows. Names and numbers are made up; check digits are right. Some texts
hold what a format may stumble over: marks of XML, quotes, a formula, a line end, characters beyond the basic plane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gateway.catalog.identifiers import registration_check_digit
from tests.mapping.record_samples import COMPANY, PERSON, PLACEHOLDER
from tests.nodes import BUREAU

__all__ = ["ROWS", "Row"]

Row = Mapping[str, str]

_UNIT = {"source_unit_name": "示例林业局交通运输局", "source_unit_code": BUREAU}
_NOTED = {**_UNIT, "remarks": "补报；第一行\n第二行 <&> \"'"}
_LEGAL = {"subject_name": "示例“路桥”有限公司", "subject_kind": "法人及非法人组织", "subject_code": COMPANY}
_TRADER = {"subject_name": "测试丙", "subject_kind": "个体工商户", "subject_code": PLACEHOLDER}
_NATURAL = {"subject_name": "测试𠮷", "subject_kind": "自然人", "person_id_kind": "身份证", "person_id": PERSON}
_PERSON = {"person_name": "测试𠮷", "person_id_kind": "护照号", "person_id": "E12345678"}
_RESIDENT = {"person_name": "测试乙", "person_id_kind": "身份证", "person_id": PERSON}
_NUMBER = "23010010000001"
_NUMBERS = {
    "subject_registration_number": _NUMBER + registration_check_digit(_NUMBER),
    "subject_organisation_code": COMPANY[8:17],
    "subject_tax_number": "230100000000001",
}
_HEAD = {"legal_representative": "测试甲", "legal_representative_id_kind": "身份证", "legal_representative_id": PERSON}
_AUTHORITY = {"authority_name": "示例林业局交通运输局", "authority_code": BUREAU}
_OTHER_NUMBERS = {"subject_institution_number": "123000000012", "subject_association_number": "SH-2026-1"}

_LICENSE = {
    **_AUTHORITY,
    "document_name": "道路旅客运输经营许可决定书",
    "license_kind": "普通",
    "content": "=1+1 许可从事<县内>道路旅客运输 & 包车",
    "decided_on": "2026-09-01",
    "valid_from": "2026-09-05",
    "valid_to": "2029-09-04",
    "status": "1",
}
_PENALTY = {
    **_AUTHORITY,
    "violation_kind": "未取得许可擅自从事道路货物运输",
    "violation_facts": "车辆在林区公路被查获",
    "legal_basis": "《中华人民共和国道路运输条例》第六十三条",
    "penalty_kinds": "罚款",
    "content": "罚款2000元",
    "fine_amount": "0.2",
    "decided_on": "2026-05-06",
    "valid_to": "2029-05-06",
}
_LISTED = {
    "data_source": "省高级人民法院",
    "list_kind": "失信被执行人",
    "executed_by": "示例市人民法院",
    "area_name": "黑龙江省",
    "basis_number": "（2026）示执字第1号",
    "published_on": "2026-03-02",
    "registered_on": "2026-02-03",
    "valid_to": "2028-03-02",
}
_COMMITMENT = {
    "commitment_kind": "主动型",
    "matter": "道路货物运输经营",
    "content": "依法经营，不<超限>超载",
    "committed_on": "2026-02-01",
    "valid_to": "2027-01-31",
    "accepted_by": "示例林业局交通运输局",
    "kept": "履约中",
}
_EVALUATION = {
    "market": "道路运输",
    "year": "2025",
    "grade": "AA",
    "score": "98.5",
    "evaluated_by": "示例省交通运输厅",
    "evaluated_by_code": BUREAU,
    "evaluated_on": "2026-03-31",
    "valid_to": "2027-03-30",
}
_REPAIR = {
    "repaired_catalog": "行政处罚",
    "document_number": "黑森交罚〔2026〕1号",
    "original_on": "2026-05-06",
    "applied_on": "2026-08-10",
    "decided_on": "2026-09-01",
    "result": "准予修复",
    "effect": "终止公示;停止共享和使用",
    "reason": "已履行完毕",
    "decided_by": "示例林业局交通运输局",
    "decided_by_code": BUREAU,
}
_ACTION = {
    "action_kind": "2",
    "behaviour": "严重<超限>运输",
    "field": "道路运输",
    "starts_on": "2026-01-01",
    "ends_on": "2026-12-31",
    "status": "正常",
}
_TAKEN = {"measure": "限制参加招投标", "content": "一年内不得投标", "department": "示例市交通运输局"}

_ALL: Mapping[str, Sequence[Row]] = {
    "administrative-license": [
        {
            **_UNIT,
            **_LEGAL,
            **_NUMBERS,
            **_OTHER_NUMBERS,
            **_HEAD,
            **_LICENSE,
            "document_number": "黑森交许〔2026〕1号",
            "certificate_name": "道路运输经营许可证",
            "certificate_number": "黑交运管许可字230000000001号",
        },
        {**_NOTED, **_NATURAL, **_LICENSE, "document_number": "黑森交许〔2026〕2号", "license_kind": "其他-备案"},
        {
            **_UNIT,
            **_TRADER,
            "legal_representative": "测试丙",
            **_LICENSE,
            "document_number": "黑森交许〔2026〕3号",
            "status": "2",
        },
    ],
    "administrative-penalty": [
        {
            **_UNIT,
            **_LEGAL,
            **_NUMBERS,
            **_OTHER_NUMBERS,
            **_HEAD,
            **_PENALTY,
            "document_number": "黑森交罚〔2026〕1号",
            "publicity_until": "2027-05-06",
        },
        {**_NOTED, **_NATURAL, **_PENALTY, "document_number": "黑森交罚〔2026〕2号"},
        {
            **_UNIT,
            **_TRADER,
            "legal_representative": "测试丙",
            **_PENALTY,
            "document_number": "黑森交罚〔2026〕3号",
            "penalty_kinds": "罚款;没收违法所得;吊销许可证件",
            "confiscated_amount": "1234.567891",
            "revoked_licence": "道路运输证1号",
        },
    ],
    "black-list-legal": [
        {
            **_NOTED,
            **_LISTED,
            **_NUMBERS,
            "subject_name": "示例“路桥”有限公司",
            "subject_code": COMPANY,
            "subject_address": "示例市一号",
            "case_number": "（2026）示执1号",
            "legal_representative": "测试甲",
        },
    ],
    "black-list-persons": [
        {
            **_NOTED,
            **_LISTED,
            "person_name": "测试𠮷",
            "person_id": PERSON,
            "person_address": "示例市二号",
            "case_number": "（2026）示执2号",
        },
    ],
    "commendation": [
        {
            **_NOTED,
            "subject_code": COMPANY,
            "title": "安全生产先进单位",
            "document_number": "示交发〔2026〕1号",
            "year": "2025",
            "level": "02",
            "published_by": "示例省交通运输厅",
            "published_on": "2026-01-15",
            "content": "连续三年<零>事故 & 无投诉",
            "status": "有效",
        },
    ],
    "credit-commitment": [
        {**_NOTED, **_LEGAL, **_COMMITMENT, "commitment_number": "CN-2026-1"},
        {
            **_UNIT,
            **_NATURAL,
            **_COMMITMENT,
            "commitment_number": "CN-2026-2",
            "kept": "已违诺",
            "breach": "承诺期内超载一次",
        },
        {**_UNIT, **_TRADER, **_COMMITMENT, "commitment_number": "CN-2026-3", "commitment_kind": "其他-合规"},
    ],
    "credit-evaluation": [
        {**_NOTED, **_LEGAL, **_EVALUATION, "evaluation_number": "PJ-2026-1"},
        {**_UNIT, **_NATURAL, **_EVALUATION, "evaluation_number": "PJ-2026-2", "grade": "D", "score": "0"},
        {**_UNIT, **_TRADER, **_EVALUATION, "evaluation_number": "PJ-2026-3", "grade": "B", "score": "80.25"},
    ],
    "credit-repair": [
        {**_NOTED, **_LEGAL, **_REPAIR, "repair_number": "XF-2026-1"},
        {
            **{name: text for name, text in {**_UNIT, **_NATURAL, **_REPAIR}.items() if name != "effect"},
            "repair_number": "XF-2026-2",
            "result": "不予修复",
        },
        {**_UNIT, **_TRADER, **_REPAIR, "repair_number": "XF-2026-3", "effect": "终止公示"},
    ],
    "enterprise-registration": [
        {
            **_NOTED,
            "subject_code": COMPANY,
            "subject_name": "示例“路桥”有限公司",
            "former_name": "示例路桥厂",
            "short_name": "示例路桥",
            "unit_kind": "1100",
            "founded_on": "2015-01-02",
            "registered_on": "2015-01-03",
            "valid_to": "2045-01-02",
            "registered_by": "示例市市场监督管理局",
            "legal_representative": "测试甲",
            "legal_representative_id": PERSON,
            "telephone": "0450-0000000",
            "economic_kind": "159",
            "city": "示例市",
            "subject_address": "示例市一号",
            "postcode": "010000",
            "business_scope": "公路、桥梁工程；<依法须经批准的项目除外>",
            "parent_name": "示例集团",
            "parent_code": COMPANY,
            "status": "存续",
        },
    ],
    "joint-action-effect": [
        {**_NOTED, **_LEGAL, **_ACTION, **_TAKEN, "effect_number": "CX-2026-1", "effect": "已停止投标"},
        {**_UNIT, **_NATURAL, **_ACTION, **_TAKEN, "effect_number": "CX-2026-2", "effect": "已限制从业"},
        {**_UNIT, **_TRADER, **_ACTION, **_TAKEN, "effect_number": "CX-2026-3", "effect": "已整改", "action_kind": "1"},
    ],
    "joint-action-measure": [
        {**_NOTED, **_ACTION, **_TAKEN, "measure_number": "CS-2026-1", "basis": "《合作备忘录》第三条"},
    ],
    "joint-action-object": [
        {**_NOTED, **_LEGAL, **_ACTION, "object_number": "DX-2026-1", "listed_by": "示例省交通运输厅"},
        {**_UNIT, **_NATURAL, **_ACTION, "object_number": "DX-2026-2"},
        {**_UNIT, **_TRADER, **_ACTION, "object_number": "DX-2026-3"},
    ],
    "performance": [
        {
            **_NOTED,
            "subject_code": COMPANY,
            "project_number": "XM-1",
            "project_name": "示例公路改建",
            "builder": "示例林业局",
            "section_number": "01",
            "contract_amount": "12345.678901",
            "started_on": "2025-03-01",
            "completed_on": "2026-09-30",
            "grade": "合格",
            "status": "完工",
        },
    ],
    "person": [
        {
            **_NOTED,
            **_RESIDENT,
            "person_number": "RY-1",
            "sex": "女",
            "born_on": "1949-12-31",
            "nationality": "中国",
            "employer_name": "示例“路桥”有限公司",
            "employer_code": COMPANY,
            "position": "总工程师",
            "in_trade_since": "1972-07-01",
            "telephone": "0450-0000001",
            "status": "在职",
            "updated_on": "2026-09-01",
        },
        {**_UNIT, **_PERSON, "person_number": "RY-2", "updated_on": "2026-09-02"},
    ],
    "person-commendation": [
        {
            **_NOTED,
            **_RESIDENT,
            "title": "交通运输劳动模范",
            "year": "2025",
            "award_kind": "01",
            "level": "02",
            "certificate_number": "JL-2026-1",
            "rank": "1",
            "awarded_by": "示例省交通运输厅",
            "awarded_on": "2026-05-01",
            "content": "先进<个人>",
            "involvement": "03",
            "status": "有效",
        },
        {
            **_UNIT,
            **_PERSON,
            "title": "优秀驾驶员",
            "certificate_number": "JL-2026-2",
            "awarded_by": "示例市交通运输局",
            "awarded_on": "2026-05-02",
        },
    ],
    "person-qualification": [
        {
            **_NOTED,
            **_RESIDENT,
            "qualification": "监理工程师",
            "grade": "一级",
            "certificate_number": "ZG-2026-1",
            "employer_name": "示例“路桥”有限公司",
            "employer_code": COMPANY,
            "issued_by": "示例省交通运输厅",
            "issued_on": "2026-04-01",
            "valid_to": "2030-03-31",
            "status": "有效",
        },
        {
            **_UNIT,
            **_PERSON,
            "qualification": "造价工程师",
            "certificate_number": "ZG-2026-2",
            "issued_on": "2026-04-02",
        },
    ],
    "qualification": [
        {
            **_NOTED,
            "subject_code": COMPANY,
            "subject_name": "示例“路桥”有限公司",
            "qualification": "公路工程施工总承包",
            "grade": "一级",
            "certificate_number": "ZZ-2026-1",
            "issued_by": "示例省住房和城乡建设厅",
            "issued_on": "2026-03-01",
            "valid_to": "2031-02-28",
            "status": "有效",
        },
    ],
    "red-list": [
        {
            **_NOTED,
            **_NUMBERS,
            "subject_name": "示例“路桥”有限公司",
            "subject_code": COMPANY,
            "subject_address": "示例市一号",
            "data_source": "省税务局",
            "list_kind": "纳税信用A级",
            "year": "2025",
            "document_number": "示税发〔2026〕1号",
            "identified_on": "2026-04-30",
            "identified_by": "国家税务总局示例市税务局",
            "document_name": "纳税信用A级名单",
            "valid_to": "2027-04-29",
        },
    ],
}

ROWS: Mapping[str, Sequence[Row]] = MappingProxyType(_ALL)
"""Rows by catalog."""
