"A Sphinx extension for what single pages of the site need beyond their notebooks."

LANDING = 'index', 'zh/index'


def files_of_a_page(app, pagename, templatename, context, doctree):
    "Load styles and scripts only where they are used."
    if pagename in LANDING:
        app.add_css_file('landing.css')


def setup(app):
    app.connect('html-page-context', files_of_a_page)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
