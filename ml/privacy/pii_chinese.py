"""Finds personal data as Chinese customers write them: names after a cue or before a title, addresses, ids, accounts.

The resident id's check is python-stdnum's (GB 11643-1999). Names have no form of their own, so a cue is required:
what is recalled are names that a sentence introduces, and none that stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stdnum.cn import ric

from ml.privacy.pii_pattern import CHECKED, LIKELY, STRICT
from ml.privacy.pii_span import Kind, Span

HAN = re.compile(r"[\u4e00-\u9fff]")
SURNAMES = (  # the hundred most frequent, and the usual double ones
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭"
    "陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
DOUBLE = "欧阳|上官|司马|诸葛|司徒|夏侯|东方|皇甫|尉迟|公孙|慕容|令狐|端木"
SURNAME = f"(?:{DOUBLE}|[{SURNAMES}])"
NO_NAME = (
    "的是在想要买订住电手说和跟，。了吗呢有来去把被给请也都就还不没身地联，、：；"  # a word goes on, no given name
)
TITLE = "先生|女士|小姐|太太|老师|经理|阿姨|大爷|师傅|同学"
WORD = (
    "高中|高兴|高级|高校|方便|方面|方式|黄色|黄金|白色|金额|金色|万一|石头|江苏|江西|江边|马上|周[一二三四五六日末]|常常|于是|程序"
    "|夏天|谢谢|许多"
)
GIVEN = rf"(?!{TITLE})[^\W\d_a-zA-Z{NO_NAME}]"
CUED = re.compile(
    r"(?:我叫|我是|我的名字[是叫]|名字[是叫]?|名叫|姓名|收件人|收货人|寄件人|联系人|持卡人|开户人|户名|客户|叫做|妻子|丈夫|老公|老婆|朋友|同事|儿子|女儿|妈妈|爸爸)[是为叫：:\s]{0,2}"
    rf"((?!{WORD}){SURNAME}{GIVEN}{{1,2}})"
)
TITLED = re.compile(rf"({SURNAME}(?:{GIVEN}{{1,2}})?)(?={TITLE})")
PROVINCE = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西"
    "|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
PLACE = r"[\u4e00-\u9fff]"
AREA = rf"(?:{PLACE}{{2,7}}?(?:省|自治区|特别行政区|自治州|地区|市|盟|区|县|旗|镇|乡|街道|村))"
ROAD = rf"(?:{PLACE}{{1,8}}?(?:大道|大街|胡同|路|街|道|巷|弄|里))"
DOOR = r"(?:[\dA-Za-z一二三四五六七八九十百甲乙丙之-]{1,8}(?:号楼|号院|号|弄|栋|幢|座|单元|室|楼|层|户))"
HOME = rf"(?:{PLACE}{{2,8}}?(?:小区|花园|公寓|大厦|广场|家园|新村|苑|大学|学校))"
ADDRESS = re.compile(
    rf"(?:(?:{PROVINCE})(?:省|市|自治区|壮族自治区|回族自治区|维吾尔自治区|特别行政区)?{AREA}{{0,4}}{ROAD}?{HOME}?{DOOR}*(?:{HOME}?{DOOR}+)?(?:\d{{3,4}}(?!\d))?"
    rf"|{AREA}{{1,4}}{ROAD}?{HOME}?{DOOR}+{HOME}?{DOOR}*(?:\d{{3,4}}(?!\d))?|{ROAD}{DOOR}+(?:{HOME}?{DOOR}+)?(?:\d{{3,4}}(?!\d))?)"
)
LEAD = re.compile(
    r"^.*?(?:地址(?:是|为|改成|改为|换成)?|寄到|送到|发到|发往|寄往|送往|寄给|搬到|改成|改为|换成|家住|住在|住址是?|位于|来自|[在到住是从])(?=.{3})"
)
RESIDENT = re.compile(r"(?<!\w)\d{17}[\dXx](?![\dA-Za-z])|(?<=[\u4e00-\u9fff])\d{17}[\dXx](?![\dA-Za-z])", re.ASCII)
RESIDENT_CUE = re.compile(r"身份证\D{0,8}(\d{15}(?:\d{2}[\dXx])?)(?!\d)")
PASSPORT = re.compile(r"(?:护照|通行证|港澳证|台胞证)\D{0,6}?([A-Za-z]{1,2}\d{7,9})(?!\w)", re.ASCII)
CARD_CUE = re.compile(r"(?:银行卡|信用卡|储蓄卡|借记卡|卡号|账号|账户)[^\d，。；]{0,8}(\d(?:[ -]?\d){14,18})(?!\d)")
LANDLINE = re.compile(
    r"(?<![\d-])(?:\(?0\d{2,3}\)?[- ]?[2-9]\d{6,7}(?:-\d{1,5})?|400[- ]?\d{3}[- ]?\d{4})(?![\d-])", re.ASCII
)
PHONE_CUE = re.compile(r"(?:电话|手机|致电|座机|传真|号码)[是为：:\s号码]{0,4}(\+?\d[\d -]{5,14}\d)(?!\d)")
WECHAT = re.compile(
    r"(?:微信|威信|加[vV]|[vV][xX]|[wW]e[cC]hat)\s{0,3}(?:账号|帐号|号码|号|ID|id)?\s{0,3}(?:is|是|为|[:：])?\s{0,3}([A-Za-z][\w-]{5,19})(?![\w-])",
    re.ASCII,
)
QQ = re.compile(r"(?<![A-Za-z])[qQ]{2}\s{0,3}(?:号码|号)?\s{0,3}[是为:：]?\s{0,3}(\d{5,11})(?!\d)")
PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·• ]?"
    r"(?:[DF][A-HJ-NP-Z0-9]\d{4}|\d{5}[DF]|[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳])(?![A-Za-z0-9])"
)


def find_chinese(text: str) -> list[Span]:
    """Return what Chinese cues and formats tell; spans may overlap."""
    found = [
        *_ids(text),
        *_marked(CARD_CUE, text, "CARD", LIKELY),
        *_marked(PHONE_CUE, text, "PHONE", LIKELY),
        *_marked(WECHAT, text, "ACCOUNT", LIKELY),
        *_marked(QQ, text, "ACCOUNT", LIKELY),
    ]
    if not HAN.search(text):
        return found
    found += [Span(one.start(), one.end(), "PHONE", LIKELY) for one in LANDLINE.finditer(text)]
    found += [Span(one.start(), one.end(), "PLATE", STRICT) for one in PLATE.finditer(text)]
    return [*found, *_names(text), *_addresses(text)]


def _marked(pattern: re.Pattern[str], text: str, kind: Kind, score: float) -> Iterator[Span]:
    for one in pattern.finditer(text):
        yield Span(one.start(1), one.end(1), kind, score)


def _ids(text: str) -> Iterator[Span]:
    for one in RESIDENT.finditer(text):
        if ric.is_valid(one.group().upper()):
            yield Span(one.start(), one.end(), "ID", CHECKED)
    yield from _marked(RESIDENT_CUE, text, "ID", STRICT)
    yield from _marked(PASSPORT, text, "ID", STRICT)


def _names(text: str) -> Iterator[Span]:
    yield from _marked(CUED, text, "NAME", LIKELY)
    yield from _marked(TITLED, text, "NAME", LIKELY)


def _addresses(text: str) -> Iterator[Span]:
    for one in ADDRESS.finditer(text):
        lead = LEAD.match(one.group())
        start = one.start() + (lead.end() if lead else 0)
        if one.end() - start >= 4:
            yield Span(start, one.end(), "ADDRESS", LIKELY)
