"""Identities that are stated in other languages, in misspelt words, of groups, and of whom a worker serves.

Each row says which targets fire under a policy for every occupation: "gs" gender and skin tone, "g" gender alone, "s"
skin tone alone, "" neither. In many languages a word for a worker states a gender, or may state one.
"""

from __future__ import annotations

import pytest

from fair_diffusion.policy import Policy, match

POLICY = Policy.from_sentence("every occupation: half women, half men; skin tone uniform")

ABROAD = {  # a people or a colour of skin is stated of the worker
    "une infirmière noire dans un hôpital": "",
    "un plombier d'origine tunisienne": "",
    "une avocate camerounaise au tribunal": "",
    "un infirmier originaire du Mali": "",
    "une boulangère à la peau noire": "",
    "un plombier polonais": "",
    "un bombero peruano": "",
    "el cocinero es negro": "",
    "una maestra de piel oscura": "",
    "un cocinero de Senegal": "",
    "una dottoressa etiope": "",
    "un pompiere senegalese": "",
    "un cuoco di origine indiana": "",
    "uma médica de origem japonesa": "",
    "um bombeiro moçambicano": "",
    "ein türkischer Bäcker": "",
    "eine schwarze Frau als Pilotin": "",
    "una mujer negra como médica": "",
    "ein junger afrikanischer Lehrer": "",
    "eine Ärztin indischer Herkunft": "",
    "ein Koch aus Äthiopien": "",
    "中国医生": "g",
    "印度裔工程师": "g",
    "医生是黑人": "g",
    "ブラジル人の消防士": "g",
    "アフリカ系の教師": "g",
    "黒人の医者": "g",
    "معلمة مصرية": "",
    "طباخ من نيجيريا": "",
    "طبيب من أصل مغربي": "",
}

NOT_ABROAD = {  # colours and countries of things and places
    "un médecin à l'hôpital, mur blanc": "s",
    "une avocate avec une robe noire": "s",
    "un boulanger avec du pain blanc": "s",
    "un peintre, film noir, ombres": "s",
    "un médecin malin": "s",
    "ein Bäcker mit schwarzem Hut": "s",
    "eine Lehrerin vor einer weißen Wand": "s",
    "ein Arzt in Nigeria": "s",
    "un cocinero con un gato negro": "s",
    "un médico en un hospital de México": "s",
    "un pompiere su un camion rosso": "s",
    "una cuoca prepara cibo cinese": "s",
    "um bombeiro com um capacete branco": "s",
    "厨师做日本料理": "gs",
    "护士穿白色制服": "gs",
    "医生在中国的医院工作": "gs",
    "消防士と白い車": "gs",
    "طباخ في المطبخ": "s",
    "a nurse, film noir lighting": "gs",
    "a sommelier with pinot noir": "gs",
    "a chef at Casa Blanca": "gs",
}

MISSPELT = {
    "a femal doctor": "s",
    "a nigerain engineer": "g",
    "an amercian pilot": "g",
    "a woamn firefighter": "s",
    "a tall jamacian chef": "g",
    "a carribean nurse": "g",
    "a formal waiter": "gs",
    "a rural farmer": "gs",
    "a gentle midwife": "gs",
    "a humane doctor": "gs",
    "a mural painter": "gs",
    "a Kenwood barista": "gs",
}

PEOPLES = {
    "a Polish plumber": "g",
    "a Danish baker": "g",
    "a cashier with nail polish": "gs",
    "an engineer of Moroccan descent adjusting his glasses": "",
    "a nurse of Korean heritage tying her shoes": "",
    "a pilot who is the daughter of Chinese immigrants": "",
    "a baker, son of Ghanaian parents": "",
    "a doctor treating the daughter of Chinese immigrants": "gs",
    "a lawyer helping the son of Syrian refugees": "gs",
    "a Scotswoman driving a tram, tram driver": "",
    "an Irishwoman who is a judge": "",
    "a Welshman as a coach": "",
    "a doctor talking to a Frenchwoman": "gs",
    "a waiter serving a Dutchman": "gs",
    "doctors of different ethnicities": "g",
    "nurses of every race": "g",
    "an ethnically diverse team of engineers": "g",
    "a multicultural group of teachers": "g",
    "a group of chefs, men and women": "s",
    "a chef in a multicultural city": "gs",
    "a lawyer with clients of different ethnicities": "gs",
    "a jockey who rode all races": "gs",
    "a lawyer whose client is a Black man": "gs",
    "a doctor, the patient is a woman": "gs",
    "a barber whose customer is an old man": "gs",
    "a salesperson in the women's department": "gs",
}

NAMES_AND_VERBS = {
    "spring ushers in new flowers": "",
    "he coaches along the team": "",
    "she doctors the photo": "",
    "ushers in red uniforms": "gs",
    "theatre ushers in red uniforms": "gs",
    "coaches and players": "gs",
    "a mechanic working on an Alfa Romeo Giulia": "gs",
    "a pilot at John F. Kennedy Airport": "gs",
    "a programmer learning Julia and Python": "gs",
    "a nurse's Mercedes, nurse": "gs",
    "a Speech-Language Therapist at work": "gs",
    "a nurse, --chaos 20": "gs",
    "Giulia, a mechanic": "",
    "Julia the programmer": "",
    "John Kennedy, a pilot": "",
}

CASES = {**ABROAD, **NOT_ABROAD, **MISSPELT, **PEOPLES, **NAMES_AND_VERBS}


def fires(prompt: str) -> str:
    """Which of gender and skin tone the policy steers."""
    targets = {name for target in match(POLICY, prompt).targets for name in target.attributes}
    return ("g" if "gender" in targets else "") + ("s" if "skin_tone" in targets else "")


@pytest.mark.parametrize(("prompt", "expected"), CASES.items())
def test_what_is_stated(prompt: str, expected: str) -> None:
    assert fires(prompt) == expected, match(POLICY, prompt).reason
