"""Which rows does the table of languages have? Writes `src/polyglance/languages/languages.tsv`.

    python tools/make_languages.py src/polyglance/languages/languages.tsv

The ids and what departs from a rule stand here, chosen by hand from the codes of the data sets
and from the script in which their text is written; names come from langcodes and language_data.
Run again after a new data set has brought a language; it needs no network.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import langcodes
from langcodes.data_dicts import LANGUAGE_REPLACEMENTS
from language_data.names import code_to_names

FLORES = """
ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn als_Latn amh_Ethi apc_Arab
arb_Arab arb_Latn ars_Arab ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn
bak_Cyrl bam_Latn ban_Latn bel_Cyrl bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn
bug_Latn bul_Cyrl cat_Latn ceb_Latn ces_Latn cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn
dik_Latn dyu_Latn dzo_Tibt ell_Grek eng_Latn epo_Latn est_Latn eus_Latn ewe_Latn fao_Latn fij_Latn
fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn gaz_Latn gla_Latn gle_Latn glg_Latn grn_Latn guj_Gujr
hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn hun_Latn hye_Armn ibo_Latn ilo_Latn ind_Latn
isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn kan_Knda kas_Arab kas_Deva kat_Geor
kaz_Cyrl kbp_Latn kea_Latn khk_Cyrl khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn kmr_Latn knc_Arab
knc_Latn kon_Latn kor_Hang lao_Laoo lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn ltz_Latn
lua_Latn lug_Latn luo_Latn lus_Latn lvs_Latn mag_Deva mai_Deva mal_Mlym mar_Deva min_Arab min_Latn
mkd_Cyrl mlt_Latn mni_Beng mos_Latn mri_Latn mya_Mymr nld_Latn nno_Latn nob_Latn npi_Deva nso_Latn
nus_Latn nya_Latn oci_Latn ory_Orya pag_Latn pan_Guru pap_Latn pbt_Arab pes_Arab plt_Latn pol_Latn
por_Latn prs_Arab quy_Latn ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Olck scn_Latn shn_Mymr
sin_Sinh slk_Latn slv_Latn smo_Latn sna_Latn snd_Arab som_Latn sot_Latn spa_Latn srd_Latn srp_Cyrl
ssw_Latn sun_Latn swe_Latn swh_Latn szl_Latn tam_Taml taq_Latn taq_Tfng tat_Cyrl tel_Telu tgk_Cyrl
tgl_Latn tha_Thai tir_Ethi tpi_Latn tsn_Latn tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng
uig_Arab ukr_Cyrl umb_Latn urd_Arab uzn_Latn vec_Latn vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr
yor_Latn yue_Hant zho_Hans zho_Hant zsm_Latn zul_Latn
"""

# Of Babel-ImageNet, Tatoeba, XM3600, CLDR and SIB-200; in the script in which those write it.
# gmq, nah, ber and bih are groups of ISO 639-5: what those data sets have under them has no
# code of ISO 639-3 (gmq: Westrobothnian). eml and kzj were retired, and are still in use there.
OTHERS = """
abk_Cyrl acw_Arab ady_Cyrl afb_Arab aii_Syrc alt_Cyrl ang_Latn arc_Syrc arg_Latn arq_Arab ava_Cyrl
bar_Latn bcl_Latn bel_Cyrl_tarask ber_Latn bew_Latn bgn_Arab bih_Deva blo_Latn bre_Latn bxr_Cyrl
cbk_Latn ccc_Latn ccp_Cakm cdo_Latn cha_Latn che_Cyrl chr_Cher chu_Cyrl chv_Cyrl chy_Latn cor_Latn
cos_Latn cre_Cans csb_Latn diq_Latn div_Thaa dlm_Latn dng_Cyrl doi_Deva dsb_Latn dtp_Latn eml_Latn
eng_Latn_simple enm_Latn ext_Latn fro_Latn frp_Latn frr_Latn fry_Latn ful_Adlm ful_Latn gan_Hans
glv_Latn gmq_Latn got_Goth grc_Grek gsw_Latn hak_Latn haw_Latn hbs_Latn hin_Latn hrx_Latn hsb_Latn
ido_Latn iku_Cans ile_Latn ina_Latn inh_Cyrl ipk_Latn jam_Latn jbo_Latn kaa_Latn kal_Latn kaz_Arab
kbd_Cyrl khb_Talu kmr_Latn_ku koi_Cyrl kok_Deva kok_Latn kpv_Cyrl krc_Cyrl ksh_Latn kum_Cyrl
kxd_Latn kzj_Latn lad_Latn lat_Latn lbe_Cyrl lez_Cyrl lfn_Latn lzh_Hant lzz_Geor max_Latn mdf_Cyrl
mel_Latn mhr_Cyrl mic_Latn mnc_Mong mnw_Mymr mrj_Cyrl mwl_Latn myv_Cyrl mzn_Arab nah_Latn nan_Latn
nap_Latn nav_Latn nci_Latn nds_Latn nds_Latn_NL new_Deva nog_Cyrl non_Latn nov_Latn nqo_Nkoo
nrf_Latn oji_Latn olo_Latn orv_Cyrl oss_Cyrl ota_Arab ovd_Latn pam_Latn pcd_Latn pcm_Latn pdc_Latn
pdt_Latn pms_Latn pnb_Arab quc_Latn quz_Latn rhg_Rohg rmy_Latn roh_Latn rue_Cyrl rup_Latn sah_Cyrl
sco_Latn sgs_Latn shi_Latn sme_Latn smj_Latn smn_Latn sms_Latn sne_Latn srn_Latn srp_Latn stq_Latn
sva_Geor swg_Latn syc_Syrc syr_Syrc tcy_Knda ton_Latn tyv_Cyrl tzl_Latn udm_Cyrl uga_Ugar vep_Latn
vls_Latn vol_Latn vro_Latn wln_Latn wuu_Hans xal_Cyrl xmf_Geor yua_Latn yue_Hans zdj_Latn zha_Latn
"""

# The rest of ISO 639-1, so that every two-letter code has an answer.
REST_OF_ISO639_1 = """
aar_Latn ave_Avst bis_Latn her_Latn hmo_Latn iii_Yiii kua_Latn lub_Latn mah_Latn nau_Latn nbl_Latn
nde_Latn ndo_Latn pli_Deva tah_Latn ven_Latn
"""

# Rows whose tags are not simply "two letters, three letters": macrolanguages stand on their clear
# member; the first tag is the BCP-47 one. Keep in step with `languages.registry.AMBIGUOUS`.
TAGS = {
    "als_Latn": "sq sqi alb als",
    "arb_Arab": "ar ara arb",
    "ayr_Latn": "ay aym ayr",
    "azb_Arab": "azb az-Arab aze-Arab",
    "azj_Latn": "az aze azj",
    "bcl_Latn": "bcl bik",
    "bel_Cyrl_tarask": "be-tarask",
    "bxr_Cyrl": "bxr bua",
    "ckb_Arab": "ckb ku-Arab kur-Arab",
    "dik_Latn": "dik din",
    "diq_Latn": "diq zza",
    "eng_Latn_simple": "en-simple",
    "est_Latn": "et est ekk",
    "gaz_Latn": "om orm gaz",
    "grn_Latn": "gn grn gug",
    "hbs_Latn": "sh hbs",
    "khk_Cyrl": "mn mon khk",
    "kmr_Latn": "kmr ku-Latn kur-Latn",
    "kmr_Latn_ku": "kmr-x-ku",
    "knc_Latn": "kr kau knc",
    "kpv_Cyrl": "kv kom kpv",
    "kzj_Latn": "kzj",
    "lvs_Latn": "lv lav lvs",
    "mhr_Cyrl": "mhr chm",
    "nan_Latn": "nan zh-min-nan",
    "nds_Latn_NL": "nds-NL",
    "nob_Latn": "nb nob no nor",
    "npi_Deva": "ne nep npi",
    "ory_Orya": "or ori ory",
    "pbt_Arab": "ps pus pbt",
    "pes_Arab": "fa fas per pes",
    "plt_Latn": "mg mlg plt",
    "pnb_Arab": "pnb pa-Arab pan-Arab",
    "prs_Arab": "prs fa-AF",
    "quy_Latn": "qu que quy",
    "rmy_Latn": "rmy rom",
    "swh_Latn": "sw swa swh",
    "tgl_Latn": "tl tgl fil",
    "twi_Latn": "tw twi",
    "uzn_Latn": "uz uzb uzn",
    "ydd_Hebr": "yi yid ydd",
    "zho_Hans": "zh-Hans zho-Hans chi-Hans cmn-Hans",
    "zho_Hant": "zh-Hant zho-Hant chi-Hant cmn-Hant",
    "zsm_Latn": "ms msa may zsm",
}

# Second scripts: the bare code means the other row, these are only found with their script.
SECOND_SCRIPT = """
ace_Arab arb_Latn bjn_Arab ful_Adlm hin_Latn kas_Deva kaz_Arab knc_Arab kok_Latn min_Arab srp_Latn
taq_Tfng yue_Hans
"""

# Where langcodes has no name, another than the data set means, or one that two rows would share.
NAMES = {
    "aii_Syrc": ("Assyrian Neo-Aramaic", "ܣܘܪܝܬ"),
    "apc_Arab": ("North Levantine Arabic", ""),
    "bel_Cyrl_tarask": ("Belarusian (Taraškievica)", "беларуская (тарашкевіца)"),
    "ben_Beng": ("Bengali", "বাংলা"),
    "bih_Deva": ("Bihari", ""),
    "bxr_Cyrl": ("Russia Buriat", "буряад"),
    "dik_Latn": ("Southwestern Dinka", "Thuɔŋjäŋ"),
    "diq_Latn": ("Zazaki", "Zazaki"),
    "dtp_Latn": ("Central Dusun", ""),
    "eml_Latn": ("Emilian-Romagnol", "emiliàn e rumagnòl"),
    "eng_Latn_simple": ("Simple English", "Simple English"),
    "gmq_Latn": ("Westrobothnian", ""),
    "hbs_Latn": ("Serbo-Croatian", "srpskohrvatski"),
    "kaa_Latn": ("Karakalpak", "Qaraqalpaq tili"),
    "kaz_Arab": ("Kazakh (Arabic)", "قازاق تىلى"),
    "kmr_Latn_ku": ("Kurdish (Babel-ImageNet KU)", ""),
    "kxd_Latn": ("Brunei Malay", "Bahasa Melayu Brunei"),
    "kzj_Latn": ("Coastal Kadazan", ""),
    "mhr_Cyrl": ("Eastern Mari", "олык марий"),
    "mnw_Mymr": ("Mon (Myanmar)", "ဘာသာ မန်"),
    "nah_Latn": ("Nahuatl", "Nāhuatl"),
    "nds_Latn_NL": ("Dutch Low Saxon", "Nedersaksisch"),
    "nrf_Latn": ("Norman", "Nouormand"),
    "prs_Arab": ("Dari", "دری"),
    "pnb_Arab": ("Western Punjabi", "پنجابی"),
    "quz_Latn": ("Cusco Quechua", "Qusqu qhichwa"),
    "rmy_Latn": ("Vlax Romani", "romani ćhib"),
    "shi_Latn": ("Tachelhit", "Tashelḥiyt"),
    "tgl_Latn": ("Tagalog", "Tagalog"),
    "twi_Latn": ("Twi", "Twi"),
    "tzm_Tfng": ("Central Atlas Tamazight", "ⵜⴰⵎⴰⵣⵉⵖⵜ"),
}


def tags_of(language_id: str) -> list[str]:
    """The tags that find a row, shortest BCP-47 first."""
    if language_id in TAGS:
        return TAGS[language_id].split()
    iso639_3, script = language_id.split("_")
    if language_id in SECOND_SCRIPT.split():
        first = next(id_ for id_ in all_ids() if id_[:3] == iso639_3 and id_ != language_id)
        return [f"{tag}-{script}" for tag in tags_of(first) if "-" not in tag]
    short = LANGUAGE_REPLACEMENTS.get(iso639_3, "")
    bibliographic = langcodes.get(iso639_3).to_alpha3(variant="B") if len(short) == 2 else iso639_3
    return list(dict.fromkeys([short] * (len(short) == 2) + [iso639_3, bibliographic]))


def names_of(language_id: str, *, tag: str) -> tuple[str, str]:
    """English name and own name; the latter is empty where language_data does not know it."""
    if language_id in NAMES:
        return NAMES[language_id]
    language = langcodes.Language.get(tag, normalize=False)
    english, own = language.display_name(), language.autonym()
    # Where it knows no own name, `autonym` answers in English.
    is_known = own != english or str(language) in code_to_names(str(language))
    return english, own if is_known else ""


def all_ids() -> list[str]:
    """Every id, in the order of the file."""
    return sorted((FLORES + OTHERS + REST_OF_ISO639_1).split())


def main() -> None:
    """Write the table to the path that the command line names."""
    with Path(sys.argv[1]).open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE)
        writer.writerow(["id", "english_name", "own_name", "iso639_1", "in_flores", "tags"])
        for language_id in all_ids():
            tags = tags_of(language_id)
            english, own = names_of(language_id, tag=tags[0])
            bare = tags[0].split("-")[0]
            in_flores = "yes" if language_id in FLORES.split() else "no"
            short = bare if len(bare) == 2 else ""
            writer.writerow([language_id, english, own, short, in_flores, " ".join(tags)])


if __name__ == "__main__":
    main()
