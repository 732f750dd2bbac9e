from tests.app.test_live import visited, browser, products  # noqa
def test_final(visited, browser):
    for scheme, w in (("light",1280),("dark",390)):
        p = browser.new_page(viewport={"width": w, "height": 900}, color_scheme=scheme)
        for name, path in (("dash","/dashboard/"),):
            p.goto(visited.web.url+path); p.screenshot(path=f"/tmp/shot-{name}-{scheme}-{w}.png", full_page=True)
        p.close()
