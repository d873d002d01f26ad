"""Draws values for the slots of a sentence: names, streets and numbers of many countries, by Faker; none is anybody's."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from ml.benchmark.privacy_data import TYPES, Labelled

if TYPE_CHECKING:
    from faker import Faker

SLOT = re.compile(r"\{\{(\w+)\}\}")
LOCALES = (
    "en_US en_GB en_AU en_IN en_NZ de_DE de_AT de_CH fr_FR fr_CH es_ES es_MX es_CO it_IT pt_BR pt_PT nl_NL nl_BE sv_SE da_DK "
    "no_NO fi_FI pl_PL cs_CZ sk_SK hu_HU hr_HR sl_SI ro_RO tr_TR et_EE lv_LV lt_LT vi_VN ga_IE el_GR ru_RU id_ID fil_PH yo_NG "
    "ig_NG zu_ZA tw_GH az_AZ uz_UZ is_IS"
).split()
LABELS = {**TYPES, "PREFIX": "TITLE", "JOB": "TITLE"}
PHONES = (
    "### ####|#### ####|## ## ## ##|##-##-##-##|(##) ###-###|0### ## ## ##|### ### ###|+46 (0)## ### ## ##|+44 7### ### ###"
    "|##########|0#.##.##.##.##|(###)###-####|###-###-####x###|+1-###-###-####|001-###-###-####|## ### ###|0## ### ####"
    "|#######|########|(0##) ### ####|+## ## #### ####|####-######|1##########"
).split("|")
LICENCES = "#######|?###########|####-##-####|??######|#########|?#### ##### #####".split("|")
ORDERS = "#######|TW-######|#-#####-####|ORD########|###-#######-#######|#########|INV-####-####|??######".split("|")
UNITS = "Apt. #|Suite ##|Apt ###|Unit ##|Flat #|Floor #|Apt. ###|Suite ###".split("|")
PREFIXES = "Mr. Mrs. Ms. Dr. Mr Mrs Ms Dr Miss Prof.".split()
PEOPLES = (
    "American British German French Italian Spanish Polish Czech Slovak Danish Swedish Norwegian Finnish Dutch Belgian Swiss "
    "Austrian Greek Turkish Russian Ukrainian Chinese Japanese Korean Indian Pakistani Brazilian Mexican Canadian Australian "
    "Irish Scottish Welsh Portuguese Hungarian Romanian Bulgarian Croatian Serbian Slovenian Estonian Latvian Lithuanian "
    "Icelandic Egyptian Moroccan Nigerian Kenyan Ethiopian Thai Vietnamese Filipino Indonesian Malaysian Iranian Iraqi Israeli "
    "Jewish Muslim Christian Catholic Buddhist Hindu Sikh Arab Kurdish Cuban Chilean Peruvian Colombian Germans Italians Danes"
).split()
PRODUCTS = (
    "kettle,coffee machine,running shoes,Trail Runner 5,backpack,Galaxy S24,iPhone 15,Kindle,LEGO Castle,desk lamp,Office Chair,"
    "t-shirt,Winter Jacket,headphones,toaster,blender,Garden Hose,tent,Yoga Mat,vacuum cleaner,PlayStation 5,USB-C cable,"
    "Bluetooth speaker,Dining Table,bookshelf,rice cooker,hair dryer,gift card,Swiss cheese,Greek yogurt,Danish butter cookies,"
    "perfume,sofa,French press,Turkish towels,mountain bike"
).split(",")
KINDS_OF_PRODUCT = (
    "",
    "",
    "red ",
    "blue ",
    "Large ",
    "organic ",
    "leather ",
    "wireless ",
    "Ultra ",
    "Classic ",
    "Mini ",
    "vintage ",
)
PRICES = ("${:.2f}", "€{:.2f}", "{:.2f} EUR", "£{:.2f}", "{:.0f} dollars", "USD {:.2f}", "{:.0f} €")
DATES = ("%Y", "%Y-%m-%d %H:%M:%S", "%m/%d/%Y", "%d %B %Y", "%B %Y", "%B %d, %Y", "%Y-%m-%d", "%d.%m.%Y", "%A", "%B %d")
YEARS = (datetime(1955, 1, 1), datetime(2025, 1, 1))
SYLLABLES = "ve ra lo ti qua zen mo pix dat sol net bri cor fu gen hy plex tron ly ify io able ster".split()
COMPANY_ENDS = (
    "",
    "",
    " Inc",
    " Corp.",
    " Labs",
    " Group",
    " Technologies",
    " Ltd",
    " LLC",
    " Systems",
    " Bank",
    " Media",
    " Foods",
    " Software",
)


class Values:
    """Draws values; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        from faker import Faker
        from faker.providers.address.en_US import Provider as Address
        from faker.providers.job import Provider as Job

        self._random = random.Random(seed)  # noqa: S311 - training sentences, no secret
        self._by_locale = {locale: Faker(locale) for locale in LOCALES}
        for faker in self._by_locale.values():
            faker.seed_instance(seed)
        self._english = self._by_locale["en_US"]
        self._jobs = [job.split(",")[0] for job in Job.jobs]
        self._countries, self._states, self._short = (
            list(Address.countries),
            list(Address.states),
            list(Address.states_abbr),
        )
        self._slots = self._all_slots()

    def fill(self, template: str) -> tuple[str, list[Labelled]]:
        """Return a sentence and its labelled values; now and then in lower case or capitals throughout."""
        text, spans, at = "", [], 0
        for slot in SLOT.finditer(template):
            value = self._slots[slot[1]]()
            text += template[at : slot.start()]
            if slot[1] in LABELS:
                spans.append((len(text), len(text) + len(value), LABELS[slot[1]]))
            text, at = text + value, slot.end()
        return self._cased(text + template[at:]), spans

    def _all_slots(self) -> Mapping[str, Callable[[], str]]:
        pick, english = self._pick, self._english
        return {
            "PERSON": self._person,
            "STREET_ADDRESS": self._address,
            "GPE": lambda: self._one(self._city, self._city, self._country),
            "ZIP_CODE": self._postcode,
            "ORGANIZATION": self._company,
            "CREDIT_CARD": self._card,
            "IBAN_CODE": english.iban,
            "DATE_TIME": lambda: english.date_time_between_dates(*YEARS).strftime(pick(DATES)),
            "AGE": lambda: str(self._random.randint(1, 99)),
            "TITLE": lambda: self._one(partial(pick, PREFIXES), self._job),
            "PREFIX": partial(pick, PREFIXES),
            "JOB": self._job,
            "NRP": partial(pick, PEOPLES),
            "EMAIL_ADDRESS": english.email,
            "DOMAIN_NAME": english.url,
            "PHONE_NUMBER": lambda: self._one(partial(self._local, "phone_number"), partial(self._digits, PHONES)),
            "US_SSN": english.ssn,
            "US_DRIVER_LICENSE": partial(self._digits, LICENCES),
            "IP_ADDRESS": english.ipv4,
            "ORDER": partial(self._digits, ORDERS),
            "PRICE": lambda: pick(PRICES).format(self._random.uniform(1, 900)),
            "PRODUCT": lambda: pick(KINDS_OF_PRODUCT) + pick(PRODUCTS),
            "N": lambda: str(self._random.randint(1, 120)),
        }

    def _pick(self, among: list[str] | tuple[str, ...]) -> str:
        return self._random.choice(among)

    def _one(self, *draws: Callable[[], str]) -> str:
        return self._random.choice(draws)()

    def _local(self, kind: str, locale: str | None = None) -> str:
        """Return a value as a country writes it; English where Faker does not know the country's."""
        faker: Faker = self._by_locale[locale or self._locale()]
        return str(getattr(faker if hasattr(faker, kind) else self._english, kind)())

    def _locale(self) -> str:
        return self._pick(("en_US", "en_GB")) if self._random.random() < 0.25 else self._pick(LOCALES)

    def _digits(self, forms: list[str]) -> str:
        return str(self._english.bothify(self._pick(forms))).upper()

    def _person(self) -> str:
        locale = self._locale()
        form = self._pick(("F", "F", "F", "L", "L", "FML", "FFL", "FL", "FL", "FL"))
        return " ".join(self._part_of_name(part, locale) for part in form)

    def _part_of_name(self, part: str, locale: str) -> str:
        if part == "M":
            return self._random.choice("ABCDEFGHJKLMNPRSTW") + self._pick(("", "."))
        return self._local("first_name" if part == "F" else "last_name", locale)

    def _address(self) -> str:
        between = self._pick((", ", ", ", "\n", " ", "\n "))
        lines = [self._street(), *self._town()]
        forms: tuple[Callable[[], str], ...] = (
            self._street,
            lambda: f"{self._street()} {self._digits(UNITS).title()}",
            lambda: (
                self._digits(["PSC ####, Box ####"]).replace("BOX", "Box")
                + between
                + self._digits(["APO A? #####", "DPO A? #####"])
            ),
            lambda: self._english.bothify("P.O. Box ####") + between + f"{self._city()} {self._postcode()}",
            lambda: f"{self._pick(('the corner of ', 'corner of ', ''))}{self._street()} and {self._street()}",
            *(lambda: between.join(lines),) * 5,
        )
        return self._one(*forms)

    def _street(self) -> str:
        street = re.sub(r"\s*\n\s*", ", ", self._local(self._pick(("street_name", "street_address", "street_address"))))
        if not re.search(r"\d", street):
            number = str(self._random.randint(1, self._random.choice((250, 250, 9999))))
            street = self._pick(
                (f"{number} {street}", f"{street} {number}", f"{street} {number}a", f"{street}, {number}", street)
            )
        lead = f"{self._random.randint(1, 99999)} " if self._random.random() < 0.25 else ""
        return lead + street + (f" {self._digits(UNITS).title()}" if self._random.random() < 0.25 else "")

    def _town(self) -> list[str]:
        city, code = self._city(), self._postcode()
        forms = (
            [city],
            [f"{code} {city}"],
            [city, self._country()],
            [city, f"{self._country()} {code}"],
            [city, f"{self._pick(self._short)} {code}"],
            [city, self._pick(self._states), code],
            [self._digits(UNITS).title(), city, f"{self._pick(self._short)} {code}"],
        )
        return self._random.choice(forms)

    def _city(self) -> str:
        city = self._local("city")
        return city.upper() if self._random.random() < 0.12 else city

    def _country(self) -> str:
        return self._pick(self._states) if self._random.random() < 0.15 else self._pick(self._countries)

    def _postcode(self) -> str:
        return self._local("postcode") if self._random.random() < 0.6 else str(self._random.randint(1000, 99999))

    def _company(self) -> str:
        words = [word.capitalize() for word in self._english.words(2)]
        made = "".join(self._random.choices(SYLLABLES, k=self._random.choice((2, 3)))).capitalize()
        drawn = (
            made,
            made + self._pick(COMPANY_ENDS),
            words[0] + self._pick(COMPANY_ENDS),
            " ".join(words),
            f"{words[0]} & {words[1]}",
        )
        return self._one(partial(self._local, "company"), partial(self._pick, drawn))

    def _card(self) -> str:
        number = str(self._english.credit_card_number())
        if len(number) != 16 or self._random.random() < 0.75:
            return number
        return self._pick((" ", "-")).join(number[at : at + 4] for at in range(0, 16, 4))

    def _job(self) -> str:
        job = self._pick(self._jobs)
        return self._pick((job, job.lower(), job.capitalize()))

    def _cased(self, text: str) -> str:
        drawn = self._random.random()
        changed = text.lower() if drawn < 0.07 else text.upper() if drawn < 0.09 else text
        return changed if len(changed) == len(text) else text
