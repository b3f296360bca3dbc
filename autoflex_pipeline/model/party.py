"""The party: a driver, owner or contractor."""

from __future__ import annotations

from autoflex_pipeline.model.columns import Entity, Flag, Text, column, wanted


class Party(Entity):
    """One relation of a dealer; key (dealer_id, dms_number)."""

    dealer_id: Text = column("The dealer, as named in the configuration.", key=True)
    dms_number: Text = column(
        "The number by which Autoflex knows the relation.",
        dms="relation_id",
        evidence="A",
        header="Relatienummer",
        claire="customers[].dms_nr",
        empty="required",
        key=True,
    )
    company: Text = column(
        "Company name.",
        dms="company_name",
        evidence="A",
        header="Bedrijfsnaam",
        claire="customers[].company",
        empty="keep",
        pii="P",
    )
    title: Text = column(
        "Form of address.",
        dms="title",
        evidence="A",
        header="Titel",
        claire="customers[].title",
        empty="keep",
    )
    last_name: Text = column(
        "Last name with its tussenvoegsel in front, such as van den Berg.",
        dms=("last_name_prefix", "last_name"),
        evidence="A",
        header=("Tussenvoegsel", "Achternaam"),
        claire="customers[].last_name",
        empty="keep",
        pii="P",
    )
    street: Text = column(
        "Street.",
        dms="street",
        evidence="A",
        header="Adres",
        claire="customers[].street",
        empty="keep",
        pii="P",
    )
    house_number: Text = column(
        "House number and its addition, such as 12 bis.",
        dms=("house_number", "house_number_addition"),
        evidence="A",
        header=("Huisnummer", "Huisnr. toev."),
        claire="customers[].house_number",
        empty="keep",
        pii="P",
    )
    postcode: Text = column(
        "Postcode: 1234 AB for Dutch ones, others as given. Analysts see its first four digits.",
        dms="postcode",
        evidence="A",
        header="Postcode",
        claire="customers[].postcode",
        empty="keep",
        pii="P",
    )
    place: Text = column("Place.", dms="city", evidence="A", header="Plaats", claire="customers[].place", empty="keep")
    first_name: Text = wanted("First name.", claire="customers[].first_name", pii="P")
    email_private: Text = wanted("Private e-mail address.", claire="customers[].email_private", pii="P")
    email_business: Text = wanted("Business e-mail address.", claire="customers[].email_business", pii="P")
    phone_private: Text = wanted("Private telephone number.", claire="customers[].phone_private", pii="P")
    phone_business: Text = wanted("Business telephone number.", claire="customers[].phone_business", pii="P")
    mobile_private: Text = wanted("Private mobile number.", claire="customers[].mobile_private", pii="P")
    mobile_business: Text = wanted("Business mobile number.", claire="customers[].mobile_business", pii="P")
    is_lease_company: Flag = wanted("Whether the party is a lease company.", claire="customers[].is_lease_company")
