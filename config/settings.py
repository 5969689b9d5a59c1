"""Settings, all from the environment or .env (the environment wins); docs/operator.md lists them.

A start with DEBUG off and a missing or default secret stops with one sentence.
"""

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
import environ
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.logs import logging_config

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
ENV_FILE = Path(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))
HAS_ENV_FILE = ENV_FILE.is_file()
if HAS_ENV_FILE:
    env.read_env(ENV_FILE)
VAR_DIR = Path(env.str("VAR_DIR", default=str(VAR_DIR)))
VAR_DIR.mkdir(parents=True, exist_ok=True)


def _is_loopback(host: str) -> bool:
    """Say whether a host name or address can only mean this machine."""
    bare = host.strip("[]")
    if bare in {"localhost", "testserver"}:
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


# ---- Where we run ----------------------------------------------------------------------------
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
_only_loopback = all(_is_loopback(host) for host in ALLOWED_HOSTS)
DEBUG = env.bool("DEBUG", default=not HAS_ENV_FILE and _only_loopback)
if DEBUG and not _only_loopback:
    raise ImproperlyConfigured(
        "DEBUG is on although ALLOWED_HOSTS names an address that others can reach. Set DEBUG=off."
    )
PUBLIC_BASE_URL: str = env.str("PUBLIC_BASE_URL", default="http://localhost:8000").rstrip("/")
_public = urlsplit(PUBLIC_BASE_URL)
HTTPS = _public.scheme == "https"
if not HTTPS and not _is_loopback(_public.hostname or ""):
    raise ImproperlyConfigured(
        "PUBLIC_BASE_URL must start with https:// unless it is an address of this machine."
    )
ENVIRONMENT_LABEL: str = env.str("ENVIRONMENT_LABEL", default="SANDBOX").upper()
SUPPLIER_NAME: str = env.str("SUPPLIER_NAME", default="Larkmoor Energy")
SUPPLIER_EMAIL: str = env.str("SUPPLIER_EMAIL", default="export@larkmoor.example")
SUPPLIER_PHONE: str = env.str("SUPPLIER_PHONE", default="020 7946 0958")
SUPPLIER_ADDRESS: list[str] = env.list(
    "SUPPLIER_ADDRESS", default=["Larkmoor House", "4 Mill Lane", "Ambridge", "AM1 2QX"]
)
SUPPLIER_REGISTRATION: str = env.str("SUPPLIER_REGISTRATION", default="")
TRUSTED_PROXY_COUNT: int = env.int("TRUSTED_PROXY_COUNT", default=0)

# ---- Secrets ---------------------------------------------------------------------------------
_DEMO_SECRET = "only-for-debug-never-for-a-real-start-0123456789abcdef"  # noqa: S105
_DEMO_FIELD_KEY = "ZGVidWctb25seS1rZXktbm90LWZvci1yZWFsLXVzZSE="


def _secret(name: str, demo: str) -> str:
    """Read a secret; with DEBUG off, refuse to start when it is missing, default or short."""
    value: str = env.str(name, default=demo if DEBUG else "")
    if not DEBUG and (len(value) < 32 or demo in value):
        raise ImproperlyConfigured(
            f"{name} is missing, too short or the default one. "
            "`make run` writes a .env with fresh secrets; see docs/operator.md."
        )
    return value


SECRET_KEY = _secret("SECRET_KEY", _DEMO_SECRET)
FIELD_ENCRYPTION_KEYS = [
    key.strip() for key in _secret("FIELD_ENCRYPTION_KEYS", _DEMO_FIELD_KEY).split(",")
]

# ---- Parts -----------------------------------------------------------------------------------
INSTALLED_APPS = [
    "core",
    "seg",
    "gasquotes",
    "metering",
    "pts",
    "sip",
    "sandbox",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.forms",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "django_tables2",
    "drf_spectacular",
    "localflavor",
    "rest_framework",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "core.context.frame",
            ],
        },
    },
]
FORM_RENDERER = "config.forms.PortalRenderer"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "Europe/London"
USE_TZ = True
USE_I18N = False

# ---- Database --------------------------------------------------------------------------------
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'portal.sqlite3'}")}
DATABASES["default"]["ATOMIC_REQUESTS"] = False
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# ---- Queue: the embedded default needs no server; Redis is for production --------------------
REDIS_URL: str = env.str("REDIS_URL", default="")
SWEEP_SECONDS = 2.0
QUEUE_LEASE_SECONDS: float = env.float("QUEUE_LEASE_SECONDS", default=60.0)
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {
        "visibility_timeout": 3600,
        "unacked_restore_interval": 5,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
    }
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
        }
    }
else:
    QUEUE_DIR = VAR_DIR / "queue" / "messages"
    QUEUE_DIR.mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT = "config.bells:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(QUEUE_DIR),
        "polling_interval": 0.05,
    }
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "core_cache",
        }
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "core.sweep",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS * 3},
    },
    "tidy": {"task": "core.tidy", "schedule": 3600.0, "options": {"expires": 3600.0}},
    "metering.schedule": {
        "task": "metering.schedule",
        "schedule": 600.0,
        "options": {"expires": 600.0},
    },
    "metering.fill_gaps": {
        "task": "metering.fill_gaps",
        "schedule": crontab(hour=6, minute=15),
        "options": {"expires": 3600.0},
    },
    "pts.keep_windows": {
        "task": "pts.keep_windows",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
}
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")

# ---- E-mail: written to a folder unless EMAIL_URL names a server -----------------------------
MAIL_DIR = VAR_DIR / "mail"
vars().update(env.email_url("EMAIL_URL", default="filemail://"))
EMAIL_FILE_PATH = str(MAIL_DIR)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"{SUPPLIER_NAME} <{SUPPLIER_EMAIL}>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
SEND_DELAY_SECONDS: int = env.int("SEND_DELAY_SECONDS", default=30)

# ---- People ----------------------------------------------------------------------------------
AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "core.accounts.StaffAccounts"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_RATE_LIMITS = {"login": "60/m/ip", "login_failed": "10/m/ip,5/5m/key"}
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = SUPPLIER_NAME
MFA_ADAPTER = "core.accounts.SecondStep"
MFA_ALLOW_UNVERIFIED_EMAIL = True  # accounts are made by a supervisor, who knows the address

# ---- Security --------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL]
CSRF_FAILURE_VIEW = "core.views.csrf_failure"
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
if TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o600

# ---- Files -----------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = str(VAR_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = str(VAR_DIR / "files")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# ---- API -------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {"anon": "60/min", "user": "600/min"},
    "NUM_PROXIES": TRUSTED_PROXY_COUNT,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "core.api.details_error",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Supplier portal",
    "DESCRIPTION": "What outside parties may call.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": ["metering.webhook.schema"],
}

# ---- Lists -----------------------------------------------------------------------------------
DJANGO_TABLES2_TEMPLATE = "core/table.html"
LIST_PAGE_SIZE = 50

# ---- Export tariff desk (seg) ----------------------------------------------------------------
SEG_API_URL: str = env.str("SEG_API_URL", default="http://127.0.0.1:8100/registry")
SEG_API_USER: str = env.str("SEG_API_USER", default="sandbox@example.org" if DEBUG else "")
SEG_API_TOKEN: str = env.str("SEG_API_TOKEN", default="sandbox-registry-token" if DEBUG else "")
SEG_READ_TIMEOUT: float = env.float("SEG_READ_TIMEOUT", default=10.0)
SEG_DEADLINE: float = env.float("SEG_DEADLINE", default=20.0)
SEG_AUTO_APPROVE: bool = env.bool("SEG_AUTO_APPROVE", default=False)
SEG_REVIEW_TECHNOLOGIES = frozenset(
    int(number) for number in env.list("SEG_REVIEW_TECHNOLOGIES", default=[])
)
SEG_VERIFY_AGAIN_DAYS: int = env.int("SEG_VERIFY_AGAIN_DAYS", default=30)
SEG_IN_PROGRESS_DAYS: int = env.int("SEG_IN_PROGRESS_DAYS", default=28)
SEG_ANSWER_WORKING_DAYS: int = env.int("SEG_ANSWER_WORKING_DAYS", default=5)
SEG_APPLICATIONS_PER_HOUR: int = env.int("SEG_APPLICATIONS_PER_HOUR", default=10)
if not DEBUG and not (SEG_API_USER and SEG_API_TOKEN):
    raise ImproperlyConfigured(
        "SEG_API_USER and SEG_API_TOKEN are missing: the installation registry would refuse us."
    )
if SEG_DEADLINE + 5 >= QUEUE_LEASE_SECONDS:
    raise ImproperlyConfigured(
        "QUEUE_LEASE_SECONDS must be more than 5 seconds above SEG_DEADLINE: "
        "otherwise two workers could hold one application."
    )

# ---- Metering desk -------------------------------------------------------------------------
METERING_API_URL: str = env.str("METERING_API_URL", default="http://127.0.0.1:8100/meters")
METERING_RESULT_ALLOWED_IPS: list[str] = env.list("METERING_RESULT_ALLOWED_IPS", default=[])
METERING_RESULT_DUE_AFTER: int = env.int("METERING_RESULT_DUE_AFTER", default=60)
METERING_BODY_LIMIT: int = env.int("METERING_BODY_LIMIT", default=16 * 1024 * 1024)
METERING_RESULTS_PER_HOUR: int = env.int("METERING_RESULTS_PER_HOUR", default=20_000)

# ---- Gas quotes desk -----------------------------------------------------------------------
GASQUOTES_API_URL: str = env.str("GASQUOTES_API_URL", default="http://127.0.0.1:8100/supply-points")
GASQUOTES_API_KEY: str = env.str("GASQUOTES_API_KEY", default="sandbox-gas-key" if DEBUG else "")
GASQUOTES_QUANTITY_UNIT: str = env.str("GASQUOTES_QUANTITY_UNIT", default="GWh")
GASQUOTES_CALLS_PER_MINUTE: int = env.int("GASQUOTES_CALLS_PER_MINUTE", default=600)
GASQUOTES_CALLS_PER_MONTH: int = env.int("GASQUOTES_CALLS_PER_MONTH", default=50_000)
GASQUOTES_READ_TIMEOUT: float = env.float("GASQUOTES_READ_TIMEOUT", default=8.0)
GASQUOTES_DEADLINE: float = env.float("GASQUOTES_DEADLINE", default=10.0)
GASQUOTES_REUSE_DAYS: int = env.int("GASQUOTES_REUSE_DAYS", default=7)
GASQUOTES_AT_ONCE: int = env.int("GASQUOTES_AT_ONCE", default=32)
GASQUOTES_CREWS: int = env.int("GASQUOTES_CREWS", default=2)
GASQUOTES_VALID_HOURS: int = env.int("GASQUOTES_VALID_HOURS", default=48)
GASQUOTES_LARGEST_KWH: int = env.int("GASQUOTES_LARGEST_KWH", default=732_000)
if not DEBUG and not GASQUOTES_API_KEY:
    raise ImproperlyConfigured(
        "GASQUOTES_API_KEY is missing: the supply point service would refuse us."
    )
if GASQUOTES_QUANTITY_UNIT not in ("GWh", "kWh"):
    raise ImproperlyConfigured("GASQUOTES_QUANTITY_UNIT must be GWh or kWh.")
if GASQUOTES_CALLS_PER_MINUTE < 1 or GASQUOTES_CALLS_PER_MONTH < 0:
    raise ImproperlyConfigured(
        "GASQUOTES_CALLS_PER_MINUTE must be 1 or more, GASQUOTES_CALLS_PER_MONTH 0 or more."
    )
if not 1 <= GASQUOTES_CREWS <= GASQUOTES_AT_ONCE:
    raise ImproperlyConfigured("GASQUOTES_CREWS must be between 1 and GASQUOTES_AT_ONCE.")
if not 0 < GASQUOTES_DEADLINE <= 15:
    raise ImproperlyConfigured(
        "GASQUOTES_DEADLINE must be at most 15 seconds: a crew holds its lines for 30."
    )

# ---- Production desk (pts) -------------------------------------------------------------------
PTS_API_URL: str = env.str("PTS_API_URL", default="http://127.0.0.1:8100/production-tracking")
PTS_API_KEY: str = env.str("PTS_API_KEY", default="sandbox-pts-key" if DEBUG else "")
PTS_SUBSCRIPTION_KEY: str = env.str(
    "PTS_SUBSCRIPTION_KEY", default="sandbox-pts-subscription-key" if DEBUG else ""
)
PTS_TIME_ZONE: str = env.str("PTS_TIME_ZONE", default="America/New_York")
PTS_WINDOW_LAST_DAYS: int = env.int("PTS_WINDOW_LAST_DAYS", default=5)
PTS_WINDOW_UNTIL_DAY: int = env.int("PTS_WINDOW_UNTIL_DAY", default=5)
PTS_BODY_LIMIT: int = env.int("PTS_BODY_LIMIT", default=256 * 1024)
PTS_PLAUSIBLE_FROM: str = env.str("PTS_PLAUSIBLE_FROM", default="0.3")
PTS_PLAUSIBLE_TO: str = env.str("PTS_PLAUSIBLE_TO", default="1.7")
PTS_MAIL_TO: str = env.str("PTS_MAIL_TO", default=SUPPLIER_EMAIL)
PTS_TEST_FAILURES_COUNT: bool = env.bool("PTS_TEST_FAILURES_COUNT", default=False)
if not DEBUG and not (PTS_API_KEY and PTS_SUBSCRIPTION_KEY):
    raise ImproperlyConfigured(
        "PTS_API_KEY and PTS_SUBSCRIPTION_KEY are missing: "
        "the production tracking system would refuse us."
    )

# ---- Safe isolation desk (sip) ---------------------------------------------------------------
SIP_API_URL: str = env.str("SIP_API_URL", default="http://127.0.0.1:8100/market-messages")
SIP_API_KEY: str = env.str("SIP_API_KEY", default="sandbox-sip-key" if DEBUG else "")
SIP_API_KEY_HEADER: str = env.str("SIP_API_KEY_HEADER", default="Authorization")
SIP_API_KEY_SCHEME: str = env.str("SIP_API_KEY_SCHEME", default="Bearer")
SIP_READ_TIMEOUT: float = env.float("SIP_READ_TIMEOUT", default=30.0)
SIP_DEADLINE: float = env.float("SIP_DEADLINE", default=60.0)
SIP_LEASE_MARGIN: float = env.float("SIP_LEASE_MARGIN", default=30.0)
SIP_TRIES: int = env.int("SIP_TRIES", default=12)
SIP_SECOND_PERSON: bool = env.bool("SIP_SECOND_PERSON", default=False)
SIP_HEALTH_KEPT_DAYS: int = env.int("SIP_HEALTH_KEPT_DAYS", default=365)
SIP_PHOTO_LONGEST_SIDE: int = env.int("SIP_PHOTO_LONGEST_SIDE", default=1600)
SIP_PHOTO_BYTES: int = env.int("SIP_PHOTO_BYTES", default=600_000)
SIP_PARTY_PHONE: str = env.str("SIP_PARTY_PHONE", default="")
if not DEBUG and not SIP_API_KEY:
    raise ImproperlyConfigured(
        "SIP_API_KEY is missing: the market message service would refuse us."
    )
if SIP_LEASE_MARGIN < 10:
    raise ImproperlyConfigured(
        "SIP_LEASE_MARGIN must be 10 seconds or more: otherwise a message could still be on its "
        "way when it is given up as Unknown."
    )

LOGGING = logging_config(debug=DEBUG)
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
