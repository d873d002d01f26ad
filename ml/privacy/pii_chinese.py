"""Finds personal data as Chinese customers write them: names after a cue or before a title, addresses, ids, accounts.

The resident id's check is python-stdnum's (GB 11643-1999). Names have no form of their own, so a cue is required:
what is recalled are names that a sentence introduces, and none that stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stdnum.cn import ric

from ml.privacy.pii_pattern import CHECKED, LIKELY, STRICT, is_order
from ml.privacy.pii_span import Kind, Span

HAN = re.compile(r"[\u4e00-\u9fff]")
SURNAMES = (  # the two hundred most frequent, and the usual double ones
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭"
    "邢骆岳聂焦柳齐梅庄辛祝左涂祁舒耿牟卜詹苗凌费纪靳盛童甄项裴席鲍霍翁隋甘柏柯阮桂闵柴冉饶瞿戚滕臧褚娄符穆郎姬屠晏栾郁喻窦敖卓仇蓝巩虞卞佟匡荆岑蔺施洪毕"
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
COMMON = re.compile(f"(?:{WORD})")
GIVEN = rf"(?!{TITLE})[^\W\d_a-zA-Z{NO_NAME}]"
GIVEN_USUAL = (  # letters that given names are made of; beside a surname, alone between marks, they are one
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛超明霞平刚桂兰玲红梅华建国志文辉力玉珍萍鹏飞宇浩然雨欣怡子轩涵梓晨佳琪思远嘉俊凯博雪婷倩颖慧琳"
    "丹晶莉洁云春冬秋海波斌峰龙宁帅宏毅坚健诚信达亮亚凡彬晓燕淑惠珠翠雅芝凤仙岚苑婕馨瑶瑾莹璐薇菲蓉瑞祥福生龙元全胜学良德才发武新利清富顺成康星光天"
    "山松柏林岩石柱根宝昌庆和悦若婉清如梦依诺一鸣茹韵诗语桐睿泽阳旭彤可心安宸奕皓翔腾骏楠曦冰妍妮娇媛嫣芸莲荷菊桃杏竹青蓝紫炜炎焱煜铭钰锋钢铁"
)
CUED = re.compile(
    r"(?:我叫|我是|这边是|本人|收货人[改写填]?成?|收件人[改写填]?成?|联系人写|寄给|转交给?|付款人[叫是]?|快递写|问候|同事|我的名字[是叫]|名字[是叫]?|名叫|姓名|收件人|收货人|寄件人|联系人|持卡人|开户人|户名|客户|叫做|妻子|丈夫|老公|老婆|朋友|同事|儿子|女儿|妈妈|爸爸)[是为叫：:\s]{0,2}"
    rf"((?!{WORD}){SURNAME}{GIVEN}{{1,2}})"
)
ALONE = re.compile(
    rf"(?:^|(?<=[，。,：:；;!！?？\s]))({SURNAME}(?!{TITLE})[{GIVEN_USUAL}]{{1,2}})"
    r"(?=$|[，。,：:；;!！?？\s]|的(?:订单|包裹|快递|退款|货|单|东西)|[收签](?:$|[，。]))"
)
MINORITY = re.compile(  # written with a dot between its parts; foreign authors are too, so a cue is needed
    r"(?:我叫|我是|本人|收货人|收件人|联系人|寄件人|名字[是叫]?|名叫|姓名|户名|客户|叫做|寄给|转交给?|帮|替|找)[是为叫：:\s]{0,2}"
    r"([\u4e00-\u9fff]{2,6}(?:[·•・‧][\u4e00-\u9fff]{1,8}){1,3})"
)
FOR_SOMEBODY = re.compile(  # what is done for a person, with or by them
    rf"(?:帮|替|找|给|由|让|请|跟|和|通知|联系|告诉|转告)({SURNAME}(?!{TITLE})[{GIVEN_USUAL}]{{1,2}})"
    r"(?=[问查退买下取收订看转办改签寄送打回付领代，。,；;！!？?\s]|说一|$)"
)
FAMILIAR = re.compile(
    r"(?:客服|同事|店员|售货员|业务员|快递员|师傅|邻居|联系|找|叫|问|告诉|我是)的?"
    rf"([小老阿]{SURNAME})(?![\u4e00-\u9fff]?[机车鞋包虾])"
)
OWN_SURNAME = re.compile(rf"我姓({SURNAME})(?![\u4e00-\u9fff])")
TITLED = re.compile(rf"({SURNAME}(?:{GIVEN}{{1,2}})?)(?={TITLE})")
PROVINCE = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西"
    "|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
PLACE = r"[\u4e00-\u9fff]"
AREA = rf"(?:{PLACE}{{2,7}}?(?:省|自治区|特别行政区|自治州|地区|市|盟|区|县|旗|镇|乡|街道|村))"
SIDE = r"(?:支路|横街|横路|支弄|街|巷|弄|里)"
ROAD = rf"(?:{PLACE}{{1,8}}?(?:大道|大街|胡同|路|街|道|巷|弄|里)(?:{PLACE}{{0,3}}{SIDE})?)"
NUMBER = "一二三四五六七八九十"
DOOR = (
    rf"(?:[\dA-Za-z{NUMBER}百甲乙丙之-]{{1,8}}(?:号楼|号院|号|弄|栋|幢|座|单元|室|楼|层|户)(?:之[{NUMBER}\d]{{1,2}})?)"
)
HOME = rf"(?:{PLACE}{{2,8}}?(?:小区|花园|公寓|大厦|广场|家园|新村|苑|大学|学校))"
ADDRESS = re.compile(
    rf"(?:(?:{PROVINCE})(?:省|市|自治区|壮族自治区|回族自治区|维吾尔自治区|特别行政区)?{AREA}{{0,4}}{ROAD}?{HOME}?{DOOR}*(?:{HOME}?{DOOR}+)?(?:\d{{3,4}}(?!\d))?"
    rf"|{AREA}{{1,4}}{ROAD}?{HOME}?{DOOR}+{HOME}?{DOOR}*(?:\d{{3,4}}(?!\d))?|{ROAD}{DOOR}+(?:{HOME}?{DOOR}+)?(?:\d{{3,4}}(?!\d))?)"
)
LEAD = re.compile(
    r"^.*?(?:地址(?:是|为|改成|改为|换成)?|寄到|送到|发到|发往|寄往|送往|寄给|搬到|改成|改为|换成|家住|住在|住址是?|位于|来自|[在到住是从])(?=.{3})"
)
RESIDENT = re.compile(r"(?<!\w)\d{17}[\dXx](?![\dA-Za-z])|(?<=[\u4e00-\u9fff])\d{17}[\dXx](?![\dA-Za-z])", re.ASCII)
RESIDENT_CUE = re.compile(
    r"(?:身份证|社保|社会保障|驾驶证|驾照|居住证)[^\d。；]{0,14}(\d(?:[ -]?\d){13,16}(?:[ -]?[\dXx])?)(?![\d-])"
)
STATE_CUE = re.compile(r"(?:台湾|居民|居留)?(?:身份证|居留证)[^\dA-Z，。；]{0,6}([A-Z]{1,2}\d{8,9})(?!\w)", re.ASCII)
OFFICER = re.compile(r"(?:军官证|士兵证|警官证|文职证)[^\d，。；]{0,3}?([\u4e00-\u9fff]{1,2}字第\d{4,10}号?|\d{6,10})")
PASSPORT = re.compile(r"(?:护照|通行证|港澳证|台胞证|回乡证)[^\d，。；]{0,6}?([A-Za-z]{0,2}\d{7,9})(?![A-Za-z0-9])")
CARD_CUE = re.compile(r"(?:银行卡|信用卡|储蓄卡|借记卡|卡号|账号|账户)[^\d，。；]{0,8}(\d(?:[ ./-]?\d){14,18})(?!\d)")
LANDLINE = re.compile(
    r"(?<![\d-])(?:\(?0\d{2,3}\)?[- ]?[2-9]\d{6,7}(?:-\d{1,5})?|400[- ]?\d{3}[- ]?\d{4})(?![\d-])", re.ASCII
)
PHONE_CUE = re.compile(r"(?:电话|手机|致电|座机|传真|号码)[是为：:\s号码]{0,4}(\+?\d[\d -]{5,14}\d)(?!\d)")
SPOKEN = "〇零一二三四五六七八九幺两壹贰叁肆伍陆柒捌玖"  # digits as they are said or written out
PHONE_SPOKEN = re.compile(
    rf"(?<![{SPOKEN}])[一幺壹][三四五六七八九叁肆伍陆柒捌玖](?:[\s-]?[{SPOKEN}]){{9}}(?![{SPOKEN}])"
    rf"|(?<=[话机号码是：:\s])[{SPOKEN}](?:[\s-]?[{SPOKEN}]){{6,14}}(?![{SPOKEN}])"
)
WECHAT = re.compile(
    r"(?:微信|威信|薇信|[vV]信|加我?[vV]|[vV][xX]|(?<![A-Za-z])[vV](?=[:：])|[wW]e[cC]hat)\s{0,3}(?:账号|帐号|号码|号|ID|id)?\s{0,3}(?:is|是|为|[:：])?\s{0,3}([A-Za-z][\w-]{5,19})(?![\w-])",
    re.ASCII,
)
ALIPAY = re.compile(
    r"(?:支付宝|[aA]lipay)\s{0,3}(?:账号|帐号|账户|号)?\s{0,3}[是为:：]?\s{0,3}([\w.+-]{0,40}\d[\w.@+-]{3,40})(?!\w)",
    re.ASCII,
)
QQ = re.compile(
    r"(?<![A-Za-z])(?:[qQ]{2}|[qQ](?=号)|扣扣|企鹅)\s{0,3}(?:号码|号)?\s{0,3}[是为:：]?\s{0,3}(\d{5,11})(?!\d)"
)
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
        *_marked(ALIPAY, text, "ACCOUNT", LIKELY),
    ]
    if not HAN.search(text):
        return found
    found += [Span(one.start(), one.end(), "PHONE", LIKELY) for one in LANDLINE.finditer(text)]
    found += [Span(one.start(), one.end(), "PHONE", LIKELY) for one in PHONE_SPOKEN.finditer(text)]
    found += [Span(one.start(), one.end(), "PLATE", STRICT) for one in PLATE.finditer(text)]
    return [*found, *_names(text), *_addresses(text)]


def _marked(pattern: re.Pattern[str], text: str, kind: Kind, score: float) -> Iterator[Span]:
    for one in pattern.finditer(text):
        yield Span(one.start(1), one.end(1), kind, score)


def _ids(text: str) -> Iterator[Span]:
    for one in RESIDENT.finditer(text):
        if ric.is_valid(one.group().upper()):
            yield Span(one.start(), one.end(), "ID", CHECKED)
    yield from (one for one in _marked(RESIDENT_CUE, text, "ID", STRICT) if not is_order(text, one.start))
    for pattern in (PASSPORT, STATE_CUE, OFFICER):
        yield from _marked(pattern, text, "ID", STRICT)


def _names(text: str) -> Iterator[Span]:
    yield from _marked(CUED, text, "NAME", LIKELY)
    yield from _marked(TITLED, text, "NAME", LIKELY)
    yield from _marked(OWN_SURNAME, text, "NAME", LIKELY)
    for pattern in (MINORITY, FOR_SOMEBODY, FAMILIAR):
        yield from (one for one in _marked(pattern, text, "NAME", LIKELY) if not COMMON.match(text, one.start, one.end))
    yield from (span for span in _marked(ALONE, text, "NAME", LIKELY) if not COMMON.match(text, span.start, span.end))


def _addresses(text: str) -> Iterator[Span]:
    for one in ADDRESS.finditer(text):
        lead = LEAD.match(one.group())
        start = one.start() + (lead.end() if lead else 0)
        if one.end() - start >= 4:
            yield Span(start, one.end(), "ADDRESS", LIKELY)
